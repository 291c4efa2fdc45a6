"""``cspine doctor``: what this device has and lacks, and what to do about it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from cspine.console import emit_json, json_option, table
from cspine.device import Device, installed, this_device
from cspine.dicom.codec import SYNTAXES, version_of
from cspine.errors import BundleError
from cspine.trust import this_trust, trust_places


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Say what this device has, what it lacks and how to mend that.

    \b
    Example:
      cspine doctor
    """
    device = this_device()
    checks = [*_runtimes(device), *_decoders()]
    trust = _trust()
    if as_json:
        emit_json({"device": device.facts(), "trust": trust, "checks": checks})
        return
    facts = device.facts()
    click.echo(table(["device", ""], [[name, _shown(value)] for name, value in facts.items()]))
    click.echo()
    click.echo(
        table(["trust folder", ""], [[name, _shown(value)] for name, value in trust.items()])
    )
    click.echo()
    click.echo(
        table(
            ["part", "state", "to do"],
            [[check["part"], check["state"], check["remedy"]] for check in checks],
        )
    )


def _runtimes(device: Device) -> list[dict[str, str]]:
    target = device.onnxruntime_target
    checks = [
        _check("onnxruntime", installed("onnxruntime"), "pip install cspine"),
        _check("  INT8 on it", target, "INT8 is not used here; FP32 answers"),
        _check("openvino", installed("openvino"), "optional: pip install 'cspine[openvino]'"),
    ]
    rtx = installed("tensorrt-rtx-cu13-bindings")
    tensorrt = "found" if find_spec("tensorrt") else None
    remedy = "optional: JetPack brings it; make the venv with --system-site-packages"
    rtx_remedy = "optional: pip install 'cspine[tensorrt-rtx]'"
    gpu = "found" if Path("/dev/nvidia0").exists() or device.jetson else None
    return [
        *checks,
        _check("tensorrt", tensorrt, remedy),
        _check("tensorrt-rtx", rtx, rtx_remedy),
        _check("NVIDIA GPU", gpu, "engines can be built ahead of time, not run"),
    ]


def _decoders() -> list[dict[str, str]]:
    remedy = "reinstall: pip install --force-reinstall imagecodecs"
    return [_check(kind, version_of(kind), remedy) for kind in dict.fromkeys(SYNTAXES.values())]


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


def _check(part: str, state: str | None, remedy: str) -> dict[str, str]:
    return {"part": part, "state": state or "missing", "remedy": "" if state else remedy}


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
