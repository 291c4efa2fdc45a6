"""Who signed a bundle, and what a machine with a trust folder refuses."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cspine import trust
from cspine.bundle import PIPELINE, Bundle, write_bundle
from cspine.cli import cspine
from cspine.errors import BundleError
from cspine.files import sha256
from cspine.folder import Folder
from cspine.keys import make_keys, read_private, sign
from cspine.manifest import MANIFEST, Manifest
from cspine.packed import Packed
from cspine.signature import PublicKey, Signature
from cspine.store import Store
from cspine.trust import read_trust, this_trust, trust_folder

Trusting = Callable[..., Path]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no trust folder of this machine have a say."""
    monkeypatch.delenv("CSPINE_TRUST", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(trust, "SYSTEM", tmp_path / "etc" / "trust")


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, PublicKey]:
    """Return two key pairs; the private halves are in ``keys``."""
    return {
        name: make_keys(tmp_path / "keys" / name, name=f"key {name}", password=None)
        for name in ("ours", "theirs")
    }


@pytest.fixture
def trusting(
    tmp_path: Path, keys: dict[str, PublicKey], monkeypatch: pytest.MonkeyPatch
) -> Trusting:
    """Return the function that makes the machine's trust folder, of keys and what is revoked."""

    def make(*names: str, revoked: str | None = None) -> Path:
        folder = tmp_path / "trust"
        folder.mkdir(exist_ok=True)
        for name in names:
            (folder / f"{name}.pub").write_text(keys[name].to_line())
        if revoked is not None:
            (folder / "revoked").write_text(revoked)
        monkeypatch.setenv("CSPINE_TRUST", str(folder))
        return folder

    return make


@pytest.fixture
def signed(bundle: Bundle, keys: dict[str, PublicKey], tmp_path: Path) -> Bundle:
    """Return the small bundle, signed by our key."""
    return sign(bundle, read_private(tmp_path / "keys" / "ours", password=None))


def refusal(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.open(path)
    return str(caught.value)


def run(*words: object, code: int = 0, env: dict[str, str] | None = None) -> str:
    result = CliRunner(env=env).invoke(cspine, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result.output


def test_signing_keeps_the_digest_and_the_same_key_gives_the_same_bytes(
    bundle: Bundle, signed: Bundle, tmp_path: Path
) -> None:
    assert signed.digest == bundle.digest
    (first,) = signed.signatures
    before = (signed.path / first.path).read_bytes()
    again = sign(signed, read_private(tmp_path / "keys" / "ours", password=None))
    assert again.signatures == (first,)
    assert (again.path / first.path).read_bytes() == before


def test_a_signature_is_ed25519_over_the_documented_bytes(signed: Bundle) -> None:
    (path,) = (signed.path / "signatures").iterdir()
    fields = json.loads(path.read_bytes())
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(fields["key"]))
    content = {**fields, "signature": ""}
    written = (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()
    key.verify(bytes.fromhex(fields["signature"]), written)
    assert fields["bundle"] == signed.digest


def test_without_a_trust_folder_all_that_is_whole_is_opened(signed: Bundle) -> None:
    assert this_trust() is None
    assert Bundle.open(signed.path).digest == signed.digest


def test_a_trusted_signature_opens(signed: Bundle, trusting: Trusting) -> None:
    trusting("ours")
    assert Bundle.open(signed.path).digest == signed.digest
    trusting("ours", "theirs")
    assert Bundle.open(signed.path).digest == signed.digest


def test_one_trusted_signature_of_several_is_enough(
    signed: Bundle, keys: dict[str, PublicKey], trusting: Trusting, tmp_path: Path
) -> None:
    both = sign(signed, read_private(tmp_path / "keys" / "theirs", password=None))
    prints = {each.fingerprint for each in both.signatures}
    assert prints == {key.fingerprint for key in keys.values()}
    trusting("theirs", revoked=f"key {keys['ours'].fingerprint}  # lost\n")
    assert Bundle.open(both.path).digest == signed.digest


def test_an_unsigned_bundle_is_refused(bundle: Bundle, trusting: Trusting) -> None:
    folder = trusting("ours")
    assert refusal(bundle.path) == (
        f"{bundle.path}: is not signed, and {folder} asks for a signature; get a signed bundle, "
        f"or sign it: cspine sign {bundle.path} --key FILE"
    )


def test_a_stripped_signature_is_refused(signed: Bundle, trusting: Trusting) -> None:
    trusting("ours")
    (signed.path / signed.signatures[0].path).unlink()
    assert "is not signed" in refusal(signed.path)


def test_a_foreign_key_is_refused(
    signed: Bundle, keys: dict[str, PublicKey], trusting: Trusting
) -> None:
    folder = trusting("theirs")
    assert refusal(signed.path) == (
        f"{signed.path}: signed by key {keys['ours'].fingerprint[:16]}, foreign to {folder}, which "
        "trusts key theirs; get the bundle signed by one of these, or put the key's .pub file there"
    )


def test_an_empty_trust_folder_opens_nothing(signed: Bundle, trusting: Trusting) -> None:
    trusting()
    assert "which trusts no key" in refusal(signed.path)


def test_a_revoked_key_is_refused(
    signed: Bundle, keys: dict[str, PublicKey], trusting: Trusting
) -> None:
    lost = keys["ours"].fingerprint
    folder = trusting("ours", "theirs", revoked=f"# lost in May\n\nkey {lost}\n")
    assert refusal(signed.path) == (
        f"{signed.path}: signed by key {lost[:16]}, revoked in {folder / 'revoked'}; "
        "get the bundle signed by a key that is trusted"
    )


def test_a_revoked_bundle_is_refused(signed: Bundle, trusting: Trusting) -> None:
    folder = trusting("ours", revoked=f"bundle {signed.digest}\n")
    assert refusal(signed.path) == (
        f"{signed.path}: bundle {signed.digest[:12]} is revoked in {folder / 'revoked'}; "
        "put a newer bundle in its place"
    )


def test_a_manifest_other_than_the_signed_is_refused(signed: Bundle, trusting: Trusting) -> None:
    trusting("ours")
    fields = json.loads((signed.path / MANIFEST).read_bytes()) | {"provenance": {}}
    (signed.path / MANIFEST).write_bytes(Manifest(**fields).sealed().to_json())
    told = refusal(signed.path)
    assert f"{signed.signatures[0].path} signs bundle {signed.digest[:12]}" in told
    assert "it is not the one that was signed" in told


def downgraded(bundle: Bundle) -> Manifest:
    """Return a bundle's manifest in the words of format 1, its digest as it was."""
    digests = {name: file.sha256 for name, file in bundle.manifest.files.items()}
    return msgspec.structs.replace(bundle.manifest, format=1, files=digests)


@pytest.mark.parametrize("layout", [Folder, Packed])
def test_a_manifest_rewritten_in_an_earlier_format_is_refused(
    signed: Bundle, trusting: Trusting, tmp_path: Path, layout: Callable[[Path], Store]
) -> None:
    trusting("ours")
    place = layout(tmp_path / "downgraded")
    place.replace({**signed.files, MANIFEST: downgraded(signed).to_json()})
    assert refusal(place.path) == (
        f"{place.path}: {MANIFEST} has changed since it was written; "
        "restore the bundle from its source"
    )
    sealed = downgraded(signed).sealed()
    place.replace({**signed.files, MANIFEST: sealed.to_json()})
    assert f"signs bundle {signed.digest[:12]}, and manifest.json names" in refusal(place.path)
    unsigned = {name: signed.read(name) for name in signed.manifest.files}
    place.replace({**unsigned, MANIFEST: sealed.to_json()})
    assert "is not signed" in refusal(place.path)
    make_keys(tmp_path / "keys" / "mine", name="key ours", password=None)
    sign(Bundle.whole(place.path), read_private(tmp_path / "keys" / "mine", password=None))
    assert "foreign to" in refusal(place.path)
    assert Bundle.whole(place.path).manifest.format == 1  # whole it is, and that is not enough


def test_a_signature_cannot_be_carried_to_another_bundle(
    signed: Bundle, trusting: Trusting, tmp_path: Path
) -> None:
    trusting("ours")
    other = write_bundle(tmp_path / "other", {PIPELINE: b"evil"}, {})
    (stolen,) = signed.signatures
    (other.path / "signatures").mkdir()
    (other.path / stolen.path).write_bytes(stolen.to_json())
    assert f"{stolen.path} signs bundle" in refusal(other.path)
    # Naming this bundle in it breaks it.
    forged = json.loads(stolen.to_json()) | {"bundle": other.digest}
    (other.path / stolen.path).write_bytes(Signature(**forged).to_json())
    assert f"{stolen.path} has changed" in refusal(other.path)


def test_a_manifest_names_no_signature(signed: Bundle) -> None:
    (found,) = signed.signatures
    fields = json.loads((signed.path / MANIFEST).read_bytes())
    data = found.to_json()
    fields["files"][found.path] = {"sha256": sha256(data), "bytes": len(data)}
    (signed.path / MANIFEST).write_bytes(Manifest(**fields).sealed().to_json())
    told = f"manifest.json names {found.path!r}, where none of its files may lie"
    assert refusal(signed.path) == f"{signed.path}: {told}"


def test_a_key_put_in_place_of_the_signers_is_foreign(
    bundle: Bundle, trusting: Trusting, tmp_path: Path
) -> None:
    trusting("ours")
    make_keys(tmp_path / "keys" / "mine", name="key ours", password=None)
    forged = sign(bundle, read_private(tmp_path / "keys" / "mine", password=None))
    assert "foreign to" in refusal(forged.path)


def test_a_changed_bundle_is_unsigned_again(signed: Bundle, trusting: Trusting) -> None:
    trusting("ours")
    more = signed.extended({"models/classify/trt.int8.onnx": b"new"}, {})
    assert more.signatures == ()
    assert "is not signed" in refusal(more.path)


NAMES = st.sampled_from(
    [
        *("", ".hidden", "models", "models/classify", "models/nowhere/deep", "signatures"),
        *("signatures/extra", "models/localise"),
    ]
)
DAMAGE = st.sampled_from(["change", "insert", "cut", "remove", "add", "rename", "pipe"])


@given(data=st.data())
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_damage_is_refused_by_name(
    signed: Bundle, trusting: Trusting, data: st.DataObject
) -> None:
    trusting("ours")
    path = signed.path
    files = [MANIFEST, *signed.manifest.files, signed.signatures[0].path]
    name = data.draw(st.sampled_from(files))
    victim, content = path / name, (path / name).read_bytes()
    kind = data.draw(DAMAGE)
    place = data.draw(st.integers(0, len(content) - 1))
    beside = path / data.draw(NAMES) / data.draw(st.sampled_from(["x", "fp32.onx", "a.json"]))
    added: Path | None = None
    if kind == "change":
        other = bytes([content[place] ^ data.draw(st.integers(1, 255))])
        victim.write_bytes(content[:place] + other + content[place + 1 :])
    elif kind == "insert":
        victim.write_bytes(content[:place] + data.draw(st.binary(min_size=1)) + content[place:])
    elif kind == "cut":
        victim.write_bytes(content[:place])
    elif kind == "remove":
        victim.unlink()
    elif kind == "pipe":
        victim.unlink()
        os.mkfifo(victim)
    else:
        added = beside
        beside.parent.mkdir(parents=True, exist_ok=True)
        victim.rename(beside) if kind == "rename" else beside.write_bytes(content)
    told = refusal(path)
    named = [name] + ([added.relative_to(path).as_posix()] if added else [])
    assert any(each in told for each in named) or (
        # What is gone cannot be named where the policy alone knows that it was there; a manifest
        # that says another format is named by that.
        (name.startswith("signatures/") and "is not signed" in told)
        or (name == MANIFEST and "bundle format" in told)
    )
    if added:
        added.unlink()
    victim.unlink(missing_ok=True)
    victim.write_bytes(content)
    Bundle.open(path)


def test_no_byte_of_a_signature_may_change(signed: Bundle) -> None:
    # Even where nobody asks who signed.
    (found,) = signed.signatures
    path = signed.path / found.path
    content = path.read_bytes()
    for place in range(len(content)):
        flipped = content[place] ^ (0x01, 0x20, 0x80)[place % 3]
        path.write_bytes(content[:place] + bytes([flipped]) + content[place + 1 :])
        assert found.path in refusal(signed.path)


@pytest.mark.parametrize("name", ["signatures/x.json", f"signatures/{'a' * 64}.json.", "a.sig"])
def test_what_does_not_lie_where_signatures_lie_is_foreign(signed: Bundle, name: str) -> None:
    (signed.path / name).write_bytes(signed.signatures[0].to_json())
    assert f"{name} is foreign" in refusal(signed.path)


def test_the_place_of_the_policy(
    tmp_path: Path, signed: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trust_folder() is None
    user = tmp_path / "config" / "cspine" / "trust"
    user.mkdir(parents=True)
    assert trust_folder() == user
    trust.SYSTEM.parent.mkdir()
    trust.SYSTEM.symlink_to(tmp_path / "nowhere")  # broken: no leave to trust all
    assert trust_folder() == trust.SYSTEM
    assert "cannot be read" in refusal(signed.path)
    monkeypatch.setenv("CSPINE_TRUST", str(tmp_path / "named"))
    assert trust_folder() == tmp_path / "named"
    assert refusal(signed.path) == (
        f"{tmp_path / 'named'}: cannot be read: No such file or directory; no bundle is opened "
        f"until the trust folder {tmp_path / 'named'} can be"
    )


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("revoked", "key abc\n", "revoked, line 1: expected `bundle DIGEST`"),
        ("revoked", f"\ndigest {'a' * 64}\n", "revoked, line 2: expected"),
        ("revoked.txt", "", "revoked.txt does not belong there"),
        ("a.pub", "ssh-ed25519 AAAA me\n", "a.pub: expected one line, ed25519 KEY NAME"),
        ("a.pub", f"ed25519 {'a' * 64}\n", "a.pub: expected one line"),
        ("a.pub", f"ed25519 {'a' * 64} two\nlines\n", "a.pub: expected one line"),
    ],
)
def test_a_trust_folder_that_is_not_understood_opens_nothing(
    signed: Bundle, trusting: Trusting, name: str, text: str, told: str
) -> None:
    folder = trusting("ours")
    (folder / name).write_text(text)
    assert told in refusal(signed.path)
    (folder / name).unlink()
    (folder / "picture.pub").write_bytes(b"\xff\xd8")
    assert "holds a file that is not text" in refusal(signed.path)


def test_keys_are_private_and_never_replaced(tmp_path: Path) -> None:
    private = tmp_path / "new" / "release"
    told = json.loads(run("keys", private, "--name", "Release 2026", "--json"))
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    line = private.with_name("release.pub").read_text()
    assert line.split(" ", 2)[0] == "ed25519"
    assert line.split(" ", 2)[2] == "Release 2026\n"
    assert read_trust_of(private).keys() == {told["fingerprint"]}
    before = private.read_bytes()
    with pytest.raises(BundleError, match="a key is never replaced"):
        make_keys(private, name="x", password=None)
    with pytest.raises(BundleError, match="1 to 80 printable"):
        make_keys(tmp_path / "y", name="two\nlines", password=None)
    assert private.read_bytes() == before


def read_trust_of(private: Path) -> dict[str, PublicKey]:
    folder = private.parent / "trusted"
    folder.mkdir()
    (folder / "a.pub").write_text(private.with_name(private.name + ".pub").read_text())
    return read_trust(folder).keys


def test_a_password_is_asked_for(bundle: Bundle, tmp_path: Path) -> None:
    private = tmp_path / "locked"
    env = {"CSPINE_KEY_PASSWORD": "correct horse"}
    run("keys", private, "--password", env=env)
    assert private.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY")
    for wrong in (None, b"wrong"):
        with pytest.raises(BundleError, match="its password is wrong or missing"):
            read_private(private, password=wrong)
    told = json.loads(run("sign", bundle.path, "--key", private, "--json", env=env))
    assert told["digest"] == bundle.digest
    assert [each.fingerprint for each in Bundle.open(bundle.path).signatures] == told["signatures"]


def test_only_an_ed25519_key_signs(tmp_path: Path) -> None:
    path = tmp_path / "rsa"
    pem = generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(pem)
    with pytest.raises(BundleError, match="is no Ed25519 key"):
        read_private(path, password=None)
    path.write_bytes(b"ed25519 abc")
    with pytest.raises(BundleError, match="no private key"):
        read_private(path, password=None)
    with pytest.raises(BundleError, match="cannot be read: No such file"):
        read_private(tmp_path / "none", password=None)


def test_a_bundle_that_is_refused_can_still_be_signed_and_looked_at(
    exported: Bundle, keys: dict[str, PublicKey], trusting: Trusting, tmp_path: Path
) -> None:
    path = exported.path
    assert json.loads(run("inspect", path, "--json"))["trust"] == (
        "not asked: this machine has no trust folder"
    )
    trusting("ours")
    assert "trust: refused: " in run("inspect", path)
    run("sign", path, "--key", tmp_path / "keys" / "ours")
    told = run("inspect", path)
    assert f"signed by key {keys['ours'].fingerprint}" in told
    assert told.endswith("trust: trusted: signed by key ours\n")
