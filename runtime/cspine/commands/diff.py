"""``cspine diff``: what changed from one bundle to another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cspine.bundle import Bundle
from cspine.compare import Change, Comparison, compare
from cspine.console import emit_json, json_option

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHORT = 5  # items of a list that are shown


@click.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@json_option
def diff(old: Path, new: Path, as_json: bool) -> None:
    """Say what a reviewer must know of the bundle NEW who has approved OLD.

    Keys of the pipeline file, weights, graphs and emissions of each network, how both were made,
    and what evidence and signatures either has. Every file of both is verified; a bundle that
    this machine's trust folder refuses can be compared all the same.

    \b
    Example:
      cspine diff released/xray.cspine build/xray.cspine
    """
    found = compare(Bundle.whole(old), Bundle.whole(new))
    if as_json:
        emit_json(found)
        return
    click.echo("\n".join(_lines(found)))


def _lines(found: Comparison) -> list[str]:
    proofs = [
        f"{each.backend}, {each.target}, {each.precision}: "
        f"{each.old or 'none'} -> {each.new or 'none'}"
        for each in found.evidence
    ]
    networks = [
        f"{network.stage}: {change}" for network in found.networks for change in network.changes
    ]
    sections: list[tuple[str, Sequence[str], str]] = [
        ("pipeline", [_line(each) for each in found.pipeline], "no key changed"),
        ("networks", networks, "the same"),
        ("other files", [_line(each) for each in found.files], "the same"),
        ("provenance", [_line(each) for each in found.provenance], "the same"),
        ("evidence", proofs, "none on either"),
        ("signatures", [_line(found.signatures)], ""),
    ]
    same = "the same bundle" if found.old == found.new else "another bundle"
    form = found.format
    formats = f", of format {form.old} -> {form.new}" if form.old != form.new else ""
    lines = [f"{found.old[:12]} -> {found.new[:12]}: {same}{formats}"]
    for title, told, nothing in sections:
        lines += ["", title, *(f"  {line}" for line in told or [nothing])]
    return lines


def _line(change: Change) -> str:
    if isinstance(change.old, list) and isinstance(change.new, list):
        gone = [each for each in change.old if each not in change.new]
        added = [each for each in change.new if each not in change.old]
        if max(len(change.old), len(change.new)) > _SHORT:
            counts = f"{len(change.old)} -> {len(change.new)}"
            return f"{change.key}: {counts} ({len(gone)} gone, {len(added)} new)"
    return f"{change.key}: {_shown(change.old)} -> {_shown(change.new)}"


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        shown = ", ".join(_shown(each) for each in value[:_SHORT])
        return f"{shown or 'none'}{', ...' if len(value) > _SHORT else ''}"
    if isinstance(value, dict):
        return f"{len(value)} facts"
    text = str(value)
    return text[:12] if _DIGEST.fullmatch(text) else text
