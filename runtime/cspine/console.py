"""What every verb's command line shares: output as a table or as JSON, progress, common options."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

T = TypeVar("T")
Command = Callable[..., Any]

EXIT_GATE_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INCONCLUSIVE = 3
EXIT_FAULT = 70

BACKENDS = ("onnxruntime", "openvino", "tensorrt", "tensorrt-dla")

bundle_argument = click.argument("bundle", type=click.Path(path_type=Path))
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
threads_option = click.option(
    "--threads", type=click.IntRange(1), help="CPU threads for one inference [default: all]."
)
backend_option = click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="onnxruntime",
    show_default=True,
    help="The runtime that answers; there is no falling back to another.",
)


candidate_option = click.option(
    "--precision",
    type=click.Choice(["int8", "fp16"]),
    default="int8",
    show_default=True,
    help="What is held against FP32; FP16 is TensorRT's alone.",
)


def studies_option(*, required: bool) -> Callable[[Command], Command]:
    """Return the option ``--study``, which may be given several times."""
    return click.option(
        "--study",
        "paths",
        type=click.Path(path_type=Path),
        multiple=True,
        required=required,
        help="DICOM file, folder, ZIP archive or DICOMDIR that the pipeline answers; may be given "
        "several times.",
    )


def emit_json(document: object) -> None:
    """Print one JSON document."""
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay out rows under a header; columns that hold numbers are set to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(header), *cells]) for i in range(len(header))]
    right = [
        bool(cells) and all(row[i][:1].isdigit() or row[i][:1] in "+-" for row in cells)
        for i in range(len(header))
    ]

    def line(row: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(row, widths, right, strict=True)
        ]
        return "  ".join(padded).rstrip()

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, cells)])


def counter(what: str) -> Callable[[int, int], None]:
    """Return a callback that shows on a terminal's stderr how much of a job is done."""

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{what} {done} of {total}", nl=done == total, err=True)

    return show


def progress(items: Iterable[T], *, label: str, length: int) -> Iterator[T]:
    """Yield the items and show on a terminal's stderr how many have been taken."""
    if not sys.stderr.isatty():
        yield from items
        return
    with click.progressbar(items, label=label, length=length, file=sys.stderr) as bar:
        yield from bar
