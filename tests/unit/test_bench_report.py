from __future__ import annotations

from xml.etree import ElementTree

from cspine_bench.report import Check, junit, markdown

CHECKS = [
    Check("median", "pass", ["0.99 [0.98, 1.00]"], {"margin": "0.03", "blocks": "40"}),
    Check("p99 <of all>", "fail", ["slower & later", "by 9 %"]),
    Check("AUC", "inconclusive", ["too few cases"]),
    Check("machine", "void", ["the clocks moved"]),
]


def test_junit_counts_what_is_not_a_pass() -> None:
    data = junit("cspine bench", CHECKS)
    assert data.startswith(b"<?xml version='1.0' encoding='utf-8'?>\n<testsuite ")
    suite = ElementTree.fromstring(data)
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "4", "failures": "1", "errors": "2", "skipped": "0"}
    cases = {case.get("name"): case for case in suite}
    assert [child.tag for child in cases["median"]] == ["properties", "system-out"]
    figures = {each.get("name"): each.get("value") for each in cases["median"].iter("property")}
    assert figures == {"margin": "0.03", "blocks": "40"}
    failure = cases["p99 <of all>"].find("failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == ("fail", "slower & later")
    assert failure.text == "slower & later\nby 9 %"
    for name, kind in (("AUC", "inconclusive"), ("machine", "void")):
        error = cases[name].find("error")
        assert error is not None
        assert error.get("type") == kind


def test_markdown_is_one_table() -> None:
    text = markdown("cspine bench", [*CHECKS, Check("a | b", "pass")])
    lines = text.splitlines()
    assert lines[0] == "## cspine bench"
    assert lines[2:4] == ["| check | verdict | figures | reasons |", "| --- | --- | --- | --- |"]
    assert lines[4] == "| median | **pass** | margin 0.03<br>blocks 40 | 0.99 [0.98, 1.00] |"
    assert lines[-1] == r"| a \| b | **pass** |  |  |"
    assert len(lines) == 4 + 5
