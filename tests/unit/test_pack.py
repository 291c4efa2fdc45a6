"""`cspine pack` and `cspine unpack`, verbs given one file, and the trust folder in `doctor`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner

from cspine import trust
from cspine.bundle import Bundle
from cspine.cli import main
from cspine.keys import make_keys, read_private, sign

GOLDEN = Path(__file__).parents[1] / "data" / "bundle-format-1"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no trust folder of this machine have a say."""
    monkeypatch.delenv("CSPINE_TRUST", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(trust, "SYSTEM", tmp_path / "etc" / "trust")


def run(*words: object, code: int = 0) -> str:
    @click.command(context_settings={"ignore_unknown_options": True})
    @click.argument("words", nargs=-1)
    def command(words: tuple[str, ...]) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["cspine", *words])
            main()

    result = CliRunner().invoke(command, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result.output


def answer(*words: object) -> Any:
    return json.loads(run(*words, "--json"))


def verdict(bundle: Bundle, name: str, *, of: str | None = None) -> Path:
    """Put evidence beside a bundle."""
    bundle.evidence.mkdir(exist_ok=True)
    path = bundle.evidence / f"{bundle.digest[:12]}.onnxruntime.trt.{name}.json"
    facts = {
        "format": 3,
        "bundle": of or bundle.digest,
        "backend": "onnxruntime",
        "target": "trt",
        "verdict": "fail",
        "criteria": [],
    }
    path.write_bytes(msgspec.json.encode(facts))
    return path


def test_there_and_back_it_is_the_same_bundle(exported: Bundle, tmp_path: Path) -> None:
    make_keys(tmp_path / "keys" / "ours", name="ours", password=None)
    signed = sign(exported, read_private(tmp_path / "keys" / "ours", password=None))
    told = answer("pack", signed.path, "-o", tmp_path / "x.bundle")
    assert told["digest"] == signed.digest
    assert told["signatures"] == [signed.signatures[0].fingerprint]
    assert told["files"] == len(signed.files)
    said = run("unpack", tmp_path / "x.bundle", "-o", tmp_path / "back").splitlines()
    assert said[0] == f"{tmp_path / 'back'}: bundle {signed.digest}"
    assert said[-1] == "evidence: none for this bundle"
    assert (tmp_path / "back").is_dir()
    assert Bundle.open(tmp_path / "back").files == signed.files
    assert not (tmp_path / "back.evidence").exists()


def test_a_bundle_of_format_1_keeps_its_digest(tmp_path: Path) -> None:
    told = answer("pack", GOLDEN / "small.cspine", "-o", tmp_path / "x")
    assert told["digest"] == Bundle.whole(GOLDEN / "small.cspine").digest


def test_a_change_of_format_is_told_to_a_reviewer(tmp_path: Path) -> None:
    old = GOLDEN / "small.cspine"
    run("pack", old, "-o", tmp_path / "x")
    new = Bundle.open(tmp_path / "x").extended({}, {})  # the same files, in the present format
    first = f"{Bundle.open(old).digest[:12]} -> {new.digest[:12]}: another bundle, of format 1 -> 2"
    assert run("diff", old, new.path).splitlines()[0] == first
    assert "format" not in run("diff", new.path, new.path)


def test_evidence_of_this_digest_goes_along(exported: Bundle, tmp_path: Path) -> None:
    own = verdict(exported, "a")
    verdict(exported, "b", of="c" * 64)
    (exported.evidence / "notes.txt").touch()
    told = answer("pack", exported.path, "-o", tmp_path / "x")
    assert told["evidence"] == {"copied": [own.name], "kept": []}
    copied = tmp_path / "x.evidence" / own.name
    assert [*(tmp_path / "x.evidence").iterdir()] == [copied]
    assert copied.read_bytes() == own.read_bytes()
    later = copied.read_bytes() + b"\n"
    copied.write_bytes(later)
    said = run("pack", exported.path, "-o", tmp_path / "x")
    assert f"evidence kept, as it was there: {own.name}" in said
    assert copied.read_bytes() == later


def test_damaged_evidence_stops_it_before_anything_is_written(
    exported: Bundle, tmp_path: Path
) -> None:
    verdict(exported, "a").write_bytes(b"{}")
    said = run("pack", exported.path, "-o", tmp_path / "x", code=2)
    assert "cannot be read as evidence; remove it and verify" in said
    assert not (tmp_path / "x").exists()


def test_what_is_no_such_bundle_is_not_replaced(exported: Bundle, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"kept")
    for place in (tmp_path / "file", tmp_path, exported.path):
        said = run("pack", exported.path, "-o", place, code=2)
        assert said == (
            f"cspine: {place}: exists and is no bundle in one file; choose another place\n"
        )
    run("pack", exported.path, "-o", tmp_path / "x")
    for place in (tmp_path / "file", tmp_path, tmp_path / "x"):
        said = run("unpack", tmp_path / "x", "-o", place, code=2)
        assert said == (
            f"cspine: {place}: exists and is no folder of a bundle; choose another place\n"
        )
    assert (tmp_path / "file").read_bytes() == b"kept"


def test_another_bundle_of_the_same_kind_is_replaced(exported: Bundle, tmp_path: Path) -> None:
    run("pack", GOLDEN / "small.cspine", "-o", tmp_path / "x")
    run("pack", exported.path, "-o", tmp_path / "x")
    run("pack", tmp_path / "x", "-o", tmp_path / "x")
    assert Bundle.open(tmp_path / "x").digest == exported.digest


def test_verbs_take_one_file_as_they_take_a_folder(exported: Bundle, tmp_path: Path) -> None:
    verdict(exported, "a")
    one = tmp_path / "x"
    run("pack", exported.path, "-o", one)
    assert answer("inspect", one) == answer("inspect", exported.path)
    assert answer("diff", exported.path, one)["new"] == exported.digest
    run("keys", tmp_path / "key")
    assert answer("sign", one, "--key", tmp_path / "key")["digest"] == exported.digest
    assert one.is_file()
    assert len(Bundle.open(one).signatures) == 1


def test_every_verb_reads_one_file(exported: Bundle, tmp_path: Path) -> None:
    # That it goes on with what it read is for tests/pipeline.
    one = tmp_path / "x"
    run("pack", exported.path, "-o", one)
    run("keys", tmp_path / "key")
    one.write_bytes(one.read_bytes() + b"\n")
    for verb in ("inspect", "sign", "run", "tune", "verify", "bench", "calibrate", "emit"):
        rest = {
            "sign": ["--key", tmp_path / "key"],
            "run": [tmp_path],
            "tune": ["--study", tmp_path],
            "bench": ["--study", tmp_path],
            "verify": ["--set", tmp_path],
            "calibrate": ["--set", tmp_path],
            "emit": ["--target", "trt"],
        }.get(verb, [])
        said = run(verb, one, *rest, code=2)
        assert f"cspine: {one}: does not end as `cspine pack` writes a bundle" in said


def test_doctor_says_that_no_trust_folder_stands(tmp_path: Path) -> None:
    places = f"{tmp_path / 'etc' / 'trust'} or {tmp_path / 'config' / 'cspine' / 'trust'}"
    assert answer("doctor")["trust"] == {
        "state": "none: any whole bundle is opened",
        "would be": f"{places}; CSPINE_TRUST names another",
    }
    assert "none: any whole bundle is opened" in run("doctor")


def test_doctor_counts_keys_and_revocations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        make_keys(tmp_path / "trust" / name, name=name, password=None)
        (tmp_path / "trust" / name).unlink()
    (tmp_path / "trust" / "revoked").write_text(f"bundle {'a' * 64}\nkey {'b' * 64}\n# x\n")
    monkeypatch.setenv("CSPINE_TRUST", str(tmp_path / "trust"))
    told = answer("doctor")["trust"]
    assert told["folder"] == str(tmp_path / "trust")
    assert (told["trusted keys"], told["revocations"]) == (2, 2)


def test_doctor_shows_a_broken_trust_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSPINE_TRUST", str(tmp_path / "gone"))
    assert f"broken: {tmp_path / 'gone'}: cannot be read: No such file" in run("doctor")
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "notes.txt").touch()
    assert answer("doctor")["trust"]["state"].startswith(
        f"broken: {tmp_path / 'gone'}: notes.txt does not belong there"
    )
