"""The deployable artefact: a directory of files that its manifest names by digest.

::

    NAME/
    ├── manifest.json                 digests of all files and of itself; that one names the bundle
    ├── pipeline.toml
    ├── models/STAGE/
    │   ├── fp32.onnx
    │   ├── calibration.bin           the calibration table
    │   └── TARGET.PRECISION.onnx     emitted models
    └── signatures/FINGERPRINT.json   of the digest, one a key; not in the manifest

Opening reads and checks everything: a changed, missing or foreign file is refused by name. Where
the machine has a trust folder (:mod:`cspine.trust`), so is a bundle that no trusted key signed.
Evidence lies beside the bundle (``NAME.evidence/``) and names the digest it was gathered for.
"""

from __future__ import annotations

import stat
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from cspine.errors import BundleError, did_you_mean
from cspine.files import sha256
from cspine.pipeline_file import parse_spec
from cspine.replace import recover, replace_folder
from cspine.signature import Signature, is_signature, read_signature
from cspine.spec import PipelineSpec
from cspine.trust import this_trust

FORMAT = 1
MANIFEST = "manifest.json"
PIPELINE = "pipeline.toml"


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bundle holds and how it came to be.

    ``digest`` is the SHA-256 of the rest of the manifest and so names the bundle. ``files`` maps
    each path to its SHA-256; ``provenance`` maps a path to facts of its making (checkpoint
    digest, tool versions, parity, what an emission quantized).
    """

    digest: str
    format: int
    files: dict[str, str]
    provenance: dict[str, dict[str, Any]]

    def to_json(self) -> bytes:
        """Return canonical bytes: the same content, the same bytes."""
        return msgspec.json.format(msgspec.json.encode(self, order="sorted"), indent=2) + b"\n"

    def sealed(self) -> Manifest:
        """Return the manifest with the digest of its own content."""
        blank = msgspec.structs.replace(self, digest="")
        return msgspec.structs.replace(self, digest=sha256(blank.to_json()))


class Bundle:
    """An opened bundle, every byte of it verified and held in memory.

    Use :meth:`open`; :func:`write_bundle` makes one.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        *,
        contents: Mapping[str, bytes],
        signatures: tuple[Signature, ...],
    ) -> None:
        self.path = path
        self.manifest = manifest
        self.signatures = signatures
        self._contents = contents
        self.digest = manifest.digest

    @classmethod
    def open(cls, path: Path) -> Bundle:
        """Read a bundle, verify it, and ask this machine's policy.

        Raises
        ------
        BundleError
            As :meth:`whole`, or if no key that the machine trusts signed the bundle.
        """
        bundle = cls.whole(path)
        trust = this_trust()
        if trust:
            trust.signers(bundle.digest, bundle.signatures, where=path)
        return bundle

    @classmethod
    def whole(cls, path: Path) -> Bundle:
        """Read a bundle and verify it, whoever made it: to look at, not to answer with.

        Raises
        ------
        BundleError
            Naming the first file that is changed, missing, foreign or unreadable.
        """
        _recover(path)
        manifest = _manifest(path)
        present = {
            file.relative_to(path).as_posix()
            for file in path.rglob("*")
            if file.is_symlink() or not file.is_dir()
        } - {MANIFEST}
        for name in sorted(manifest.files.keys() - present):
            raise BundleError(f"{path}: {name} is missing; restore the bundle from its source")
        signed = sorted(name for name in present - manifest.files.keys() if is_signature(name))
        for name in sorted(present - manifest.files.keys() - set(signed)):
            raise BundleError(
                f"{path}: {name} is foreign: the manifest does not name it; remove it"
            )
        contents = {name: _read(path, name) for name in sorted(manifest.files)}
        for name, data in contents.items():
            if sha256(data) != manifest.files[name]:
                raise BundleError(
                    f"{path}: {name} has changed: got digest {sha256(data)[:12]}, expected "
                    f"{manifest.files[name][:12]}; restore the bundle from its source"
                )
        signatures = tuple(
            read_signature(_read(path, name), name=name, bundle=manifest.digest, where=str(path))
            for name in signed
        )
        return cls(path, manifest, contents=contents, signatures=signatures)

    @cached_property
    def spec(self) -> PipelineSpec:
        """The pipeline file."""
        return parse_spec(self.read(PIPELINE), where=f"{self.path.name}/{PIPELINE}")

    @property
    def evidence(self) -> Path:
        """The folder beside the bundle where verdicts lie."""
        return self.path.with_name(self.path.name + ".evidence")

    def read(self, name: str) -> bytes:
        """Return the verified bytes of a file."""
        if name not in self._contents:
            raise BundleError(f"{self.path}: holds no {name}{did_you_mean(name, self._contents)}")
        return self._contents[name]

    def model(self, stage: str, *, target: str | None = None) -> bytes:
        """Return a stage's ONNX file: FP32, or the INT8 emission for a target."""
        if target is None:
            return self.read(fp32_path(stage))
        name = emission_path(stage, target)
        if name not in self._contents:
            raise BundleError(
                f"{self.path}: no INT8 model of stage {stage!r} for target {target!r}; it holds "
                f"{', '.join(self.targets) or 'FP32 only'}; make it with: "
                f"cspine emit {self.path} --target {target}"
            )
        return self._contents[name]

    @property
    def targets(self) -> tuple[str, ...]:
        """Targets for which every network of the pipeline has an INT8 emission."""
        per_stage = [
            {
                Path(name).name.removesuffix(".int8.onnx")
                for name in self.manifest.files
                if Path(name).parent == Path("models", stage.id) and name.endswith(".int8.onnx")
            }
            for stage in self.spec.networks
        ]
        return tuple(sorted(set.intersection(*per_stage))) if per_stage else ()

    def extended(
        self,
        files: Mapping[str, bytes],
        provenance: Mapping[str, dict[str, Any]],
        *,
        drop: Collection[str] = (),
    ) -> Bundle:
        """Replace this bundle on disk by one with other files, and open it.

        It has another digest, so nobody has signed it yet.

        Parameters
        ----------
        files, provenance
            What is new, or newer.
        drop
            Paths of this bundle that the new one leaves out, with their provenance.
        """
        kept = {name: data for name, data in self._contents.items() if name not in drop}
        known = {
            name: facts for name, facts in self.manifest.provenance.items() if name not in drop
        }
        return write_bundle(self.path, {**kept, **files}, {**known, **provenance})

    def signed_by(self, signature: Signature) -> Bundle:
        """Replace this bundle on disk by one with another signature, and open it.

        The digest stays. A signature by the same key is replaced, those by others are kept.
        """
        kept = {each.path: each.to_json() for each in self.signatures}
        return _put(
            self.path,
            self.manifest,
            {**self._contents, **kept, signature.path: signature.to_json()},
        )


def fp32_path(stage: str) -> str:
    """Return where a stage's FP32 model lies."""
    return f"models/{stage}/fp32.onnx"


def table_path(stage: str) -> str:
    """Return where a stage's calibration table lies."""
    return f"models/{stage}/calibration.bin"


def emission_path(stage: str, target: str) -> str:
    """Return where a stage's INT8 model for a target lies."""
    return f"models/{stage}/{target}.int8.onnx"


def write_bundle(
    path: Path, files: Mapping[str, bytes], provenance: Mapping[str, dict[str, Any]]
) -> Bundle:
    """Write a bundle beside its place, then put it there in one step (:mod:`cspine.replace`).

    Raises
    ------
    BundleError
        If something that is not a bundle already stands at ``path``.
    """
    manifest = Manifest(
        digest="",
        format=FORMAT,
        files={name: sha256(data) for name, data in sorted(files.items())},
        provenance=dict(provenance),
    ).sealed()
    return _put(path, manifest, files)


def _put(path: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Bundle:
    _recover(path)
    if path.exists() and not (path / MANIFEST).is_file():
        raise BundleError(f"{path}: exists and is no bundle; choose another place")
    replace_folder(path, {**files, MANIFEST: manifest.to_json()})
    return Bundle.whole(path)


def _recover(path: Path) -> None:
    try:
        recover(path)
    except OSError as error:
        raise BundleError(
            f"{path}: its replacement was cut short, and the old bundle cannot be put back: "
            f"{error.strerror}; open it once as a user who may write to {path.parent}"
        ) from error


def _manifest(path: Path) -> Manifest:
    if not (path / MANIFEST).is_file():
        raise BundleError(f"{path}: no {MANIFEST} there, so it is no bundle")
    data = _read(path, MANIFEST)
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: {MANIFEST} has changed: {error}") from error
    if manifest.format != FORMAT:
        raise BundleError(f"{path}: bundle format {manifest.format}, this version reads {FORMAT}")
    if manifest.sealed().to_json() != data:
        raise BundleError(
            f"{path}: {MANIFEST} has changed since it was written; "
            "restore the bundle from its source"
        )
    for name in filter(is_signature, manifest.files):
        raise BundleError(f"{path}: {MANIFEST} names {name}, where only a signature may lie")
    if PIPELINE not in manifest.files:
        raise BundleError(f"{path}: {PIPELINE} is missing")
    return manifest


def _read(path: Path, name: str) -> bytes:
    try:
        if not stat.S_ISREG((path / name).lstat().st_mode):  # a pipe would be waited for
            raise BundleError(f"{path}: {name} is a link or no file; a bundle holds plain files")
        return (path / name).read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: {name} cannot be read: {error.strerror}") from error
