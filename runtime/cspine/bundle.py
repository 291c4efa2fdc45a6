"""The deployable artefact: files that a manifest names by digest and size.

::

    NAME/
    ├── manifest.json                 digests of all files and of itself; that one names the bundle
    ├── pipeline.toml
    ├── models/STAGE/
    │   ├── fp32.onnx
    │   ├── calibration.bin           the calibration table
    │   └── TARGET.PRECISION.onnx     emitted models
    └── signatures/FINGERPRINT.json   of the digest, one a key; not in the manifest

It is a folder (:mod:`cspine.folder`) or one file (:mod:`cspine.packed`). Opening reads and checks
everything: a changed, missing or foreign file is refused by name. Where the machine has a trust
folder (:mod:`cspine.trust`), so is a bundle that no trusted key signed. Evidence lies beside the
bundle (``NAME.evidence/``) and names the digest it was gathered for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from cspine.errors import BundleError, did_you_mean
from cspine.layout import store_at
from cspine.manifest import MANIFEST, Manifest, make_manifest
from cspine.pipeline_file import parse_spec
from cspine.signature import Signature
from cspine.spec import PipelineSpec
from cspine.store import Store
from cspine.trust import this_trust
from cspine.verified import read_verified

PIPELINE = "pipeline.toml"
EmittedPrecision = Literal["int8", "fp16"]
_EMISSION = re.compile(r"models/(?P<stage>[^/]+)/(?P<target>[^/]+)\.(?P<precision>int8|fp16)\.onnx")


@dataclass(frozen=True)
class EmissionName:
    """What the path of an emission says."""

    stage: str
    target: str
    precision: EmittedPrecision


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
        with store_at(path).opened() as there:
            manifest, contents, signatures = read_verified(there, where=path)
        if PIPELINE not in manifest.files:
            raise BundleError(f"{path}: {PIPELINE} is missing")
        return cls(path, manifest, contents=contents, signatures=signatures)

    @cached_property
    def spec(self) -> PipelineSpec:
        """The pipeline file."""
        return parse_spec(self.read(PIPELINE), where=f"{self.path.name}/{PIPELINE}")

    @property
    def evidence(self) -> Path:
        """The folder beside the bundle where verdicts lie."""
        return self.path.with_name(self.path.name + ".evidence")

    @property
    def files(self) -> dict[str, bytes]:
        """All that the bundle is, manifest and signatures included, by path."""
        return {**self._contents, **{each.path: each.to_json() for each in self.signatures}}

    def read(self, name: str) -> bytes:
        """Return the verified bytes of a file."""
        if name not in self._contents:
            raise BundleError(f"{self.path}: holds no {name}{did_you_mean(name, self._contents)}")
        return self._contents[name]

    def model(
        self, stage: str, *, target: str | None = None, precision: EmittedPrecision = "int8"
    ) -> bytes:
        """Return a stage's ONNX file: FP32, or the emission for a target."""
        if target is None:
            return self.read(fp32_path(stage))
        name = emission_path(stage, target, precision=precision)
        if name not in self._contents:
            raise BundleError(
                f"{self.path}: no {precision.upper()} model of stage {stage!r} for target "
                f"{target!r}; it holds {', '.join(self.emitted(precision)) or 'FP32 only'}; "
                f"make it with: cspine emit {self.path} --target {target}"
                + (" --precision fp16" if precision == "fp16" else "")
            )
        return self._contents[name]

    @property
    def targets(self) -> tuple[str, ...]:
        """Targets for which every network of the pipeline has an INT8 emission."""
        return self.emitted("int8")

    def emitted(self, precision: EmittedPrecision) -> tuple[str, ...]:
        """Return the targets for which every network has an emission of a precision."""
        found = [each for name in self.manifest.files if (each := emission_of(name))]
        per_stage = [
            {each.target for each in found if (each.stage, each.precision) == (stage.id, precision)}
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

        It has another digest, so nobody has signed it yet, and the manifest's present format.

        Parameters
        ----------
        files, provenance
            What is new, or newer.
        drop
            Paths of this bundle that the new one leaves out, with their provenance.
        """
        kept = {name: self.read(name) for name in self.manifest.files if name not in drop}
        known = {
            name: facts for name, facts in self.manifest.provenance.items() if name not in drop
        }
        return write_bundle(self.path, {**kept, **files}, {**known, **provenance})

    def signed_by(self, signature: Signature) -> Bundle:
        """Replace this bundle on disk by one with another signature, and open it.

        The manifest stays, and so its digest and format. A signature by the same key is replaced,
        those by others are kept.
        """
        return _put(store_at(self.path), {**self.files, signature.path: signature.to_json()})

    def copied(self, to: Store) -> Bundle:
        """Put the same bundle, digest and signatures included, into another place, and open it.

        Raises
        ------
        BundleError
            If something other than a bundle of that kind already stands there.
        """
        return _put(to, self.files)


def fp32_path(stage: str) -> str:
    """Return where a stage's FP32 model lies."""
    return f"models/{stage}/fp32.onnx"


def table_path(stage: str) -> str:
    """Return where a stage's calibration table lies."""
    return f"models/{stage}/calibration.bin"


def emission_path(stage: str, target: str, *, precision: EmittedPrecision = "int8") -> str:
    """Return where a stage's model for a target lies."""
    return f"models/{stage}/{target}.{precision}.onnx"


def emission_of(name: str) -> EmissionName | None:
    """Return what the path of an emission says; ``None`` of another path."""
    found = _EMISSION.fullmatch(name)
    if not found:
        return None
    precision: EmittedPrecision = "fp16" if found["precision"] == "fp16" else "int8"
    return EmissionName(found["stage"], found["target"], precision)


def write_bundle(
    path: Path, files: Mapping[str, bytes], provenance: Mapping[str, dict[str, Any]]
) -> Bundle:
    """Write a bundle beside its place, then put it there in one step (:mod:`cspine.replace`).

    It takes the layout of the bundle that it replaces; a new one is a folder.

    Raises
    ------
    BundleError
        If something that is not a bundle already stands at ``path``.
    """
    manifest = make_manifest(files, provenance, where=path)
    return _put(store_at(path), {**files, MANIFEST: manifest.to_json()})


def _put(store: Store, files: Mapping[str, bytes]) -> Bundle:
    if store.path.exists() and not store.is_bundle():
        raise BundleError(f"{store.path}: exists and is no {store.kind}; choose another place")
    store.replace(files)
    return Bundle.whole(store.path)
