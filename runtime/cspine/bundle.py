"""The deployable artefact: a directory of files that its manifest names by digest.

::

    NAME/
    ├── manifest.json                 digests of all files and of itself; that one names the bundle
    ├── pipeline.toml
    └── models/STAGE/
        ├── fp32.onnx
        ├── calibration.bin           the calibration table
        └── TARGET.PRECISION.onnx     emitted models

Opening reads and checks everything: a changed, missing or foreign file is refused by name.
Evidence lies beside the bundle (``NAME.evidence/``) and names the digest it was gathered for.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from cspine.errors import BundleError, did_you_mean
from cspine.files import sha256, sync_folder, write_atomic
from cspine.pipeline_file import parse_spec
from cspine.spec import PipelineSpec

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

    def __init__(self, path: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> None:
        self.path = path
        self.manifest = manifest
        self._contents = contents
        self.digest = manifest.digest

    @classmethod
    def open(cls, path: Path) -> Bundle:
        """Read a bundle and verify it.

        Raises
        ------
        BundleError
            Naming the first file that is changed, missing, foreign or unreadable.
        """
        manifest = _manifest(path)
        present = {
            file.relative_to(path).as_posix()
            for file in path.rglob("*")
            if file.is_symlink() or not file.is_dir()
        } - {MANIFEST}
        for name in sorted(manifest.files.keys() - present):
            raise BundleError(f"{path}: {name} is missing; restore the bundle from its source")
        for name in sorted(present - manifest.files.keys()):
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
        return cls(path, manifest, contents)

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
    """Write a bundle beside its place, then put it there in one rename.

    Raises
    ------
    BundleError
        If something that is not a bundle already stands at ``path``.
    """
    if path.exists() and not (path / MANIFEST).is_file():
        raise BundleError(f"{path}: exists and is no bundle; choose another place")
    manifest = Manifest(
        digest="",
        format=FORMAT,
        files={name: sha256(data) for name, data in sorted(files.items())},
        provenance=dict(provenance),
    ).sealed()
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    old = staging / "old"
    try:
        for name, data in files.items():
            write_atomic(staging / "new" / name, data)
        write_atomic(staging / "new" / MANIFEST, manifest.to_json())
        if path.exists():
            path.rename(old)
        (staging / "new").rename(path)
    except BaseException:
        if old.exists() and not path.exists():
            old.rename(path)
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    sync_folder(path.parent)
    return Bundle.open(path)


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
    if PIPELINE not in manifest.files:
        raise BundleError(f"{path}: {PIPELINE} is missing")
    return manifest


def _read(path: Path, name: str) -> bytes:
    try:
        if (path / name).is_symlink():
            raise BundleError(f"{path}: {name} is a link; a bundle holds plain files only")
        return (path / name).read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: {name} cannot be read: {error.strerror}") from error
