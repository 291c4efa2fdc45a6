"""docs/cli.md is what --help says, every verb of it; run this file to write it anew."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cspine.cli import VERBS, cspine

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
INTRODUCTION = """\
# The command line

Written by `python tests/unit/test_docs_cli.py` from the commands themselves.

Exit codes: 0 done or gate passed (a refused study is a result), 1 gate failed or model unfit for
its target, 2 bad input or usage, 3 inconclusive, 70 a fault of ours, with its traceback.
"""


def paths() -> list[list[str]]:
    """Every command as its words, groups before what is in them."""
    found: list[list[str]] = []
    for verb in VERBS:
        found.append([verb])
        command = cspine.get_command(click.Context(cspine), verb)
        if isinstance(command, click.Group):
            found += [[verb, name] for name in command.commands]
    return found


def help_of(words: list[str]) -> str:
    result = CliRunner().invoke(cspine, [*words, "--help"], terminal_width=90, prog_name="cspine")
    assert result.exit_code == 0
    return result.output.rstrip()


def reference() -> str:
    sections = [
        f"## cspine {' '.join(words)}\n\n```text\n{help_of(words)}\n```\n" for words in paths()
    ]
    return "\n".join([INTRODUCTION, f"```text\n{help_of([])}\n```\n", *sections])


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == reference(), "run: python tests/unit/test_docs_cli.py"


@pytest.mark.parametrize("words", paths(), ids=" ".join)
def test_every_command_has_help_with_an_example(words: list[str]) -> None:
    text = help_of(words)
    group = words == ["phantom"]
    assert group or f"cspine {' '.join(words)}" in text.partition("Example:")[2]
    assert group or "--json" in text


if __name__ == "__main__":
    PAGE.write_text(reference())
