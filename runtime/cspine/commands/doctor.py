"""``cspine doctor``: what this device has and lacks, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

from cspine.console import emit_json, json_option, table
from cspine.device import Device, installed, this_device
from cspine.dicom.codec import SYNTAXES, version_of
from cspine.errors import BundleError
from cspine.nvidia.checks import Check, device_checks, software_checks
from cspine.nvidia.device import read_nvidia
from cspine.nvidia.packages import installed_packages
from cspine.nvidia.program import usual_path
from cspine.nvidia.software import read_software
from cspine.nvidia.summary import rows
from cspine.sysfs import ROOT
from cspine.trust import this_trust, trust_places


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Say what this device has, what it lacks and how to mend that.

    Of an NVIDIA device also its power mode, clocks, temperatures and what holds it back: keep that
    beside a latency record. It changes nothing; as root it sees more.

    \b
    Example:
      cspine doctor
      sudo cspine doctor --json > before.json
    """
    device, trust = this_device(), _trust()
    packages = installed_packages(ROOT)
    software = read_software(ROOT, packages)
    nvidia = read_nvidia(ROOT, packages, path=usual_path())
    checks = [
        *_runtimes(device),
        *software_checks(nvidia, software),
        *device_checks(nvidia, software),
        *_decoders(),
    ]
    facts = device.facts()
    if as_json:
        emit_json(
            {
                "device": facts,
                "nvidia": nvidia,
                "software": software,
                "trust": trust,
                "checks": checks,
            }
        )
        return
    _echo("device", facts.items())
    if nvidia:
        _echo("NVIDIA", rows(nvidia, software))
    _echo("trust folder", trust.items())
    shown = [[check.part, check.state, check.remedy] for check in checks]
    click.echo(table(["part", "state", "to do"], shown))


def _echo(title: str, facts: Iterable[tuple[str, object]]) -> None:
    click.echo(table([title, ""], [[name, _shown(value)] for name, value in facts]))
    click.echo()


def _runtimes(device: Device) -> Iterator[Check]:
    target = device.onnxruntime_target
    yield _check("onnxruntime", installed("onnxruntime"), "pip install cspine")
    yield _check("  INT8 on it", target, "INT8 is not used here; FP32 answers")
    yield _check("openvino", installed("openvino"), "optional: pip install 'cspine[openvino]'")


def _decoders() -> Iterator[Check]:
    remedy = "reinstall: pip install --force-reinstall imagecodecs"
    for kind in dict.fromkeys(SYNTAXES.values()):
        yield _check(kind, version_of(kind), remedy)


def _trust() -> dict[str, object]:
    """Return whose bundles this device opens: where that is said, or would be, and what is said."""
    try:
        trust = this_trust()
    except BundleError as error:
        return {"state": f"broken: {error}"}
    if trust is None:
        places = " or ".join(map(str, trust_places()))
        return {
            "state": "none: any whole bundle is opened",
            "would be": f"{places}; CSPINE_TRUST names another",
        }
    return {
        "state": "a bundle is opened if a trusted key signed it",
        "folder": str(trust.folder),
        "trusted keys": len(trust.keys),
        "revocations": len(trust.revoked),
    }


def _check(part: str, state: str | None, remedy: str) -> Check:
    return Check(part=part, state=state or "missing", remedy="" if state else remedy)


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
