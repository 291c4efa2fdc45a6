"""What made a bundle, as a CycloneDX 1.6 bill of materials: a pure function of the bundle.

The bundle is the component that the document is about. Its files, the checkpoints that its models
came from and the tools that took part are components; what came from what is in the dependencies.
There is no time in it, and nothing of the machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated
from uuid import NAMESPACE_URL, uuid5

import msgspec

from cspine.bundle import PIPELINE, Bundle, EmissionName, emission_of, fp32_path, table_path
from cspine.errors import BundleError, ModelError, missing_extra

try:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentScope, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL
except ImportError as error:
    raise ModelError(missing_extra("cyclonedx-python-lib", "export")) from error

_TOOLS = ("onnx", "torch")  # of bundles that were made before provenance had `tools`

Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\Z")]
Version = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9.!+_-]*\Z")]


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What the provenance says of a checkpoint; the rest of it is the training's own."""

    form: Name = "unknown"


class Making(msgspec.Struct, frozen=True, kw_only=True):
    """What the provenance of a file says of its making, as far as the document repeats it."""

    tools: dict[Name, Version] = {}
    torch: Version | None = None
    onnx: Version | None = None
    checkpoint_sha256: Digest | None = None
    checkpoint: Taken = Taken()
    estimator: Name | None = None

    @property
    def versions(self) -> dict[str, str]:
        """The tools by name, in older bundles those that have a key of their own."""
        older = {name: getattr(self, name) for name in _TOOLS}
        return self.tools or {name: version for name, version in older.items() if version}


def sbom(bundle: Bundle) -> bytes:
    """Return the document, canonical JSON: the same bundle, the same bytes.

    Raises
    ------
    BundleError
        If the provenance says what it may not.
    """
    makings = _makings(bundle)
    files = {name: _file(bundle, name, making) for name, making in makings.items()}
    sources: dict[str, Component] = {}
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"urn:cspine:bundle:{bundle.digest}"))
    bom.metadata.component = _component(
        f"bundle:{bundle.digest}",
        bundle.spec.name,
        kind=ComponentType.APPLICATION,
        digest=bundle.digest,
        version=bundle.digest,
        description=bundle.spec.title,
    )
    bom.register_dependency(bom.metadata.component, files.values())
    for name, making in makings.items():
        made_from = [*_checkpoint(making), *_tools(making)]
        sources |= {str(each.bom_ref): each for each in made_from}
        parents = [files[parent] for parent in _parents(bundle, name)]
        bom.register_dependency(files[name], [*parents, *made_from])
    bom.components.update([*files.values(), *sources.values()])
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    del document["metadata"]["timestamp"]  # the library always writes one
    return msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2) + b"\n"


def _makings(bundle: Bundle) -> dict[str, Making]:
    """Return what is known of every file's making."""
    found = {}
    for name in sorted(bundle.manifest.files):
        try:
            found[name] = msgspec.convert(bundle.manifest.provenance.get(name, {}), Making)
        except msgspec.ValidationError as error:
            raise BundleError(
                f"{bundle.path}: the provenance of {name} cannot be read: {error}; make it again"
            ) from error
    return found


def _file(bundle: Bundle, name: str, making: Making) -> Component:
    stage, emission = _place(bundle, name)
    kind = ComponentType.FILE
    facts: dict[str, str | None] = {"stage": stage}
    if emission:
        kind = ComponentType.MACHINE_LEARNING_MODEL
        facts |= {
            "target": emission.target,
            "precision": emission.precision,
            "estimator": making.estimator,
        }
    elif stage and name == fp32_path(stage):
        kind = ComponentType.MACHINE_LEARNING_MODEL
        facts |= {"precision": "fp32"}
    elif stage and name == table_path(stage):
        kind = ComponentType.DATA
    return _component(
        f"file:{name}", name, kind=kind, digest=bundle.manifest.files[name].sha256, facts=facts
    )


def _parents(bundle: Bundle, name: str) -> list[str]:
    """Return the files of the bundle that a file was made from."""
    stage, emission = _place(bundle, name)
    made_from: list[str] = []
    if stage and emission:
        made_from = [fp32_path(stage), table_path(stage)]
    elif stage and name == table_path(stage):
        made_from = [PIPELINE, fp32_path(stage)]
    elif stage and name == fp32_path(stage):
        made_from = [PIPELINE]
    return [each for each in made_from if each in bundle.manifest.files]


def _place(bundle: Bundle, name: str) -> tuple[str | None, EmissionName | None]:
    """Return the stage in whose folder a file lies and, of an emission, what its name says."""
    emission = emission_of(name)
    for stage in bundle.spec.networks:
        if emission and emission.stage == stage.id:
            return stage.id, emission
        if name in (fp32_path(stage.id), table_path(stage.id)):
            return stage.id, None
    return None, None


def _checkpoint(making: Making) -> Iterable[Component]:
    digest = making.checkpoint_sha256
    if digest:
        yield _component(
            f"checkpoint:{digest}",
            "checkpoint",
            kind=ComponentType.MACHINE_LEARNING_MODEL,
            digest=digest,
            facts={"form": making.checkpoint.form},
            scope=ComponentScope.EXCLUDED,
        )


def _tools(making: Making) -> Iterable[Component]:
    for name, version in sorted(making.versions.items()):
        purl = PackageURL("pypi", name=name, version=version)
        yield Component(
            type=ComponentType.LIBRARY,
            name=name,
            version=version,
            bom_ref=purl.to_string(),
            purl=purl,
            scope=ComponentScope.EXCLUDED,  # it made the bundle and is not in it
        )


def _component(
    ref: str,
    name: str,
    *,
    kind: ComponentType,
    digest: str,
    version: str | None = None,
    description: str | None = None,
    facts: Mapping[str, str | None] = {},
    scope: ComponentScope | None = None,
) -> Component:
    return Component(
        type=kind,
        name=name,
        version=version,
        description=description,
        bom_ref=ref,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        properties=[
            Property(name=f"cspine:{key}", value=value) for key, value in facts.items() if value
        ],
        scope=scope,
    )
