from __future__ import annotations

import json
from typing import get_args

import msgspec
import pytest
from jsonschema import Draft202012Validator

from cspine.findings import NOT_FOR_DIAGNOSIS, Code, Findings, Refused, findings_schema


def refused(findings: Findings, code: Code) -> Findings:
    refusal = Refused(code, "The image is blank.", remedy="Repeat the exposure.").refusal
    return msgspec.structs.replace(
        findings,
        status="refused",
        refusal=refusal,
        spacing=None,
        facing=None,
        vertebrae=(),
        levels=(),
        withheld=(),
        notes=(),
    )


def validator() -> Draft202012Validator:
    schema = findings_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_an_answer_satisfies_the_published_schema(findings: Findings) -> None:
    document = json.loads(findings.to_json())
    validator().validate(document)
    assert [level["label"] for level in document["levels"]] == ["C2/3", "C3/4"]
    assert document["disclaimer"] == NOT_FOR_DIAGNOSIS
    assert document["schema"] == 3


@pytest.mark.parametrize("code", get_args(Code))
def test_a_refusal_satisfies_it_too_and_holds_no_level(findings: Findings, code: Code) -> None:
    document = json.loads(refused(findings, code).to_json())
    validator().validate(document)
    assert document["refusal"]["code"] == code
    assert document["levels"] == document["vertebrae"] == []


def test_a_refusal_carries_reason_and_remedy() -> None:
    error = Refused("LOW_QUALITY", "The image is blank.", remedy="Repeat the exposure.")
    assert str(error) == "The image is blank."
    assert error.refusal.code == "LOW_QUALITY"
    assert error.refusal.remedy == "Repeat the exposure."


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["status"], "unsure"),
        (["schema"], 2),
        (["facing"], "up"),
        (["spacing", "flag"], "guessed"),
        (["levels", 0, "probability"], None),
        (["levels", 0, "box_px"], [[1.0, 2.0]]),
        (["withheld", 0, "code"], "TIRED"),
        (["patient"], "anybody"),
        (["levels", 0, "time"], 1.0),
    ],
)
def test_the_schema_refuses_what_the_type_refuses(
    findings: Findings, path: list[str | int], value: object
) -> None:
    document = json.loads(findings.to_json())
    *parents, last = path
    place = document
    for key in parents:
        place = place[key]
    place[last] = value
    assert not validator().is_valid(document)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(document), type=Findings)


def test_the_same_findings_are_the_same_bytes(findings: Findings) -> None:
    data = findings.to_json()
    again = msgspec.json.decode(data, type=Findings)
    assert again == findings
    assert again.to_json() == data
    assert data.endswith(b"}\n")


def test_findings_cannot_be_changed(findings: Findings) -> None:
    with pytest.raises(AttributeError):
        findings.status = "answered"  # type: ignore[misc]
