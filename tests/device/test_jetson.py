"""The recipes for a Jetson, as far as they run on any Linux machine.

What only a board can show is not tested here: that TensorRT is found in the environment, and that
the engines build under the service's restrictions.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
JETSON = REPOSITORY / "jetson"
INSTALL, SERVICE, WHEELHOUSE = (
    JETSON / name for name in ("install.sh", "cspine-build.service", "wheelhouse.sh")
)
SCRIPTS = sorted(JETSON.glob("*.sh"))

on_a_jetson = Path("/etc/nv_tegra_release").exists()
elsewhere = pytest.mark.skipif(on_a_jetson, reason="this machine is a Jetson")


def bash(script: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", script, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def write(path: Path, text: str, *, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def seal(wheelhouse: Path) -> Path:
    """List what a folder holds in SHA256SUMS, as wheelhouse.sh does."""
    listed = sorted(path for path in wheelhouse.iterdir() if path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in listed]
    write(wheelhouse / "SHA256SUMS", "".join(lines))
    return wheelhouse


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A whole wheelhouse for this machine whose wheels are empty: no refusal opens one."""
    version = ".".join(platform.python_version_tuple()[:2])
    write(tmp_path / "sealed" / "constraints.txt", f"# Python {version} on {platform.machine()}\n")
    write(tmp_path / "sealed" / "cspine-0.0.0-py3-none-any.whl", "")
    write(tmp_path / "sealed" / "numpy-2.2.6-cp310-cp310-manylinux_2_17_aarch64.whl", "numbers")
    return seal(tmp_path / "sealed")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_bash_parses_the_script(script):
    assert bash(Path("-n"), script).returncode == 0
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_help_shows_an_example(script):
    shown = bash(script, "--help")
    assert shown.returncode == 0
    assert "Example:" in shown.stdout


def install(wheelhouse: object, prefix: Path, *options: str) -> subprocess.CompletedProcess[str]:
    here = ("--not-a-jetson", "--python", sys.executable, "--prefix", prefix)
    return bash(INSTALL, *here, *options, wheelhouse)


@elsewhere
def test_install_says_that_this_is_no_jetson(sealed, tmp_path):
    refused = bash(INSTALL, "--prefix", tmp_path / "new", sealed)
    assert refused.returncode == 2
    assert "no Jetson" in refused.stderr
    assert "--not-a-jetson" in refused.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no wheelhouse given"),
        (["--prefix"], "--prefix needs a value"),
        (["--perfix", "x"], "unknown option --perfix"),
        (["nowhere"], "nowhere is no folder"),
        (["SEALED", "SEALED"], "two wheelhouses"),
        (["--not-a-jetson", "--python", "no-such-python", "SEALED"], "no no-such-python"),
    ],
)
def test_install_refuses_with_a_remedy(arguments, message, sealed):
    given = [str(sealed) if word == "SEALED" else word for word in arguments]
    refused = bash(INSTALL, *given)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert "to do:" in refused.stderr


def lose(wheelhouse: Path, name: str) -> None:
    (wheelhouse / name).unlink()


def cut_short(wheelhouse: Path, name: str) -> None:
    content = (wheelhouse / name).read_bytes()
    (wheelhouse / name).write_bytes(content[: len(content) // 2])


def add(wheelhouse: Path, name: str) -> None:
    (wheelhouse / name).write_text("")


def stop_listing(wheelhouse: Path, name: str) -> None:
    lines = (wheelhouse / "SHA256SUMS").read_text().splitlines(keepends=True)
    write(wheelhouse / "SHA256SUMS", "".join(line for line in lines if name not in line))


NUMPY = "numpy-2.2.6-cp310-cp310-manylinux_2_17_aarch64.whl"


@pytest.mark.parametrize(
    ("damage", "name", "message"),
    [
        (lose, "SHA256SUMS", "has no SHA256SUMS"),
        (lose, NUMPY, f"{NUMPY}: FAILED open or read"),
        (lose, "constraints.txt", "constraints.txt: FAILED open or read"),
        (cut_short, NUMPY, f"{NUMPY}: FAILED"),
        (cut_short, "SHA256SUMS", "SHA256SUMS is damaged"),
        (stop_listing, NUMPY, f"does not list: {NUMPY}"),
        (stop_listing, "", "SHA256SUMS is damaged"),
        (add, "click-8.5.1-py3-none-any.whl", "does not list: click-8.5.1-py3-none-any.whl"),
    ],
)
def test_install_refuses_what_was_copied_in_part(damage, name, message, sealed, tmp_path):
    damage(sealed, name)
    refused = install(sealed, tmp_path / "new")
    assert refused.returncode == 2
    assert message in refused.stderr
    assert "copy it again, whole" in refused.stderr
    assert not (tmp_path / "new").exists()


def test_install_refuses_a_wheelhouse_without_cspine(sealed, tmp_path):
    (sealed / "cspine-0.0.0-py3-none-any.whl").unlink()
    refused = install(seal(sealed), tmp_path / "new")
    assert refused.returncode == 2
    assert "has no wheel of cspine" in refused.stderr


def test_install_refuses_the_wheelhouse_of_another_board(sealed, tmp_path):
    write(sealed / "constraints.txt", "# Python 3.9 on riscv64\n")
    refused = install(seal(sealed), tmp_path / "new")
    assert refused.returncode == 2
    assert "the wheelhouse is for Python 3.9 on riscv64, this is Python 3." in refused.stderr
    assert not (tmp_path / "new").exists()


def test_install_leaves_a_folder_alone_that_is_no_environment(sealed, tmp_path):
    precious = write(tmp_path / "home" / "precious", "kept")
    refused = install(sealed, precious.parent)
    assert refused.returncode == 2
    assert "is no virtual environment" in refused.stderr
    assert [file.name for file in precious.parent.iterdir()] == ["precious"]


def test_install_refuses_an_environment_that_cannot_see_tensorrt(sealed, tmp_path):
    write(tmp_path / "env" / "pyvenv.cfg", "include-system-site-packages = false\n")
    refused = install(sealed, tmp_path / "env")
    assert refused.returncode == 2
    assert "does not see the system's packages" in refused.stderr


@elsewhere
def test_install_refuses_the_tensorrt_extra_without_tensorrt(sealed, tmp_path):
    found = subprocess.run(
        [sys.executable, "-c", "import importlib.util as u; print(u.find_spec('tensorrt'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    if found.stdout.strip() != "None":
        pytest.skip("this machine has TensorRT")
    refused = install(sealed, tmp_path / "new", "--tensorrt")
    assert refused.returncode == 2
    assert "nvidia-jetpack" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no folder given"),
        (["."], ". exists"),
        (["nowhere/wheelhouse"], "nowhere is no folder"),
        (["--python-version", "3.9", "new"], "cspine needs 3.10 to 3.13"),
        (["--machine", "riscv64", "new"], "cspine runs on aarch64 and x86_64"),
        (["--wheel", "other-1.0.whl", "new"], "is no wheel of cspine"),
        (["--platform", "x", "new"], "unknown option --platform"),
    ],
)
def test_wheelhouse_refuses_with_a_remedy(arguments, message):
    refused = bash(WHEELHOUSE, *arguments)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert "to do:" in refused.stderr


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheelhouse of this machine: cspine and everything that it needs."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    backend = ["--no-deps", "--dest", tmp_path_factory.mktemp("backend"), "hatchling"]
    if subprocess.run([*pip, *backend], capture_output=True, check=False).returncode:
        pytest.skip("no package index can be reached")
    folder = tmp_path_factory.mktemp("made") / "wheelhouse"
    made = bash(
        WHEELHOUSE,
        *("--python-version", ".".join(platform.python_version_tuple()[:2])),
        *("--machine", platform.machine(), folder),
        PYTHON=sys.executable,
    )
    assert made.returncode == 0, made.stderr
    assert not folder.with_name("wheelhouse.part").exists()
    return folder


@pytest.mark.network
def test_install_from_a_wheelhouse_twice(wheelhouse, tmp_path):
    prefix = tmp_path / "opt" / "cspine"
    for _ in range(2):
        # Nothing else may be asked for wheels; tests/offline.sh cuts the whole network off.
        done = bash(
            INSTALL, "--not-a-jetson", "--python", sys.executable, "--prefix", prefix, wheelhouse,
            PIP_INDEX_URL="http://127.0.0.1:9/", PIP_FIND_LINKS="/nowhere",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert f"Looking in links: {wheelhouse}\n" in done.stdout
        assert "onnxruntime" in done.stdout
    assert "include-system-site-packages = true" in (prefix / "pyvenv.cfg").read_text()
    (wheel,) = wheelhouse.glob("cspine-*.whl")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert (prefix / "wheel.sha256").read_text().strip() == digest
    frozen = subprocess.run(
        [prefix / "bin" / "python", "-m", "pip", "freeze", "--local"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    pinned = (wheelhouse / "constraints.txt").read_text().splitlines()
    installed = [line for line in frozen.stdout.splitlines() if not line.startswith("cspine")]
    assert installed
    assert not set(installed) - set(pinned), "exactly what the wheelhouse holds"
    doctor = subprocess.run(
        [prefix / "bin" / "cspine", "doctor", "--json"], capture_output=True, text=True, check=True
    )
    checks = {check["part"]: check["state"] for check in json.loads(doctor.stdout)["checks"]}
    assert checks["onnxruntime"] != "missing"


@pytest.mark.network
def test_install_fails_loudly_if_the_wheelhouse_lacks_a_dependency(wheelhouse, tmp_path):
    for name in ("constraints.txt", next(wheelhouse.glob("cspine-*.whl")).name):
        write(tmp_path / "part" / name, "").write_bytes((wheelhouse / name).read_bytes())
    done = install(seal(tmp_path / "part"), tmp_path / "env")
    assert done.returncode not in (0, 2)
    assert "click" in done.stdout, "the first of all that is missing"
    assert not (tmp_path / "env" / "wheel.sha256").exists()


def commands(key: str) -> list[str]:
    """The service's commands of one kind, in order, continued lines joined."""
    lines = SERVICE.read_text().replace("\\\n", "").splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{key}=")]


def test_service_builds_again_only_when_something_changed(tmp_path):
    cache = tmp_path / "cache" / "cspine"
    engine = write(cache / "engines" / "a.engine", "first")
    manifest = write(tmp_path / "bundle" / "manifest.json", "{}")
    for name in ("wheel.sha256", "nv_tegra_release", "status"):
        write(tmp_path / name, name)
    places = {
        "%C": str(tmp_path / "cache"),
        "/var/lib/cspine": str(tmp_path),
        "/opt/cspine": str(tmp_path),
        "/etc/nv_tegra_release": str(tmp_path / "nv_tegra_release"),
        "/var/lib/dpkg": str(tmp_path),
    }

    def run(command: str) -> int:
        for there, here in places.items():
            command = command.replace(there, here)
        return subprocess.run(shlex.split(command), stderr=subprocess.DEVNULL).returncode

    (condition,) = commands("ExecCondition")
    seal = commands("ExecStart")[-1]
    assert run(condition) == 0
    for changed in (engine, manifest, *(tmp_path / "wheel.sha256", tmp_path / "status")):
        assert run(seal) == 0
        assert run(condition) == 1, "nothing has changed"
        changed.write_text("second")
        assert run(condition) == 0, f"{changed.name} has changed"
    run(seal)
    engine.unlink()
    assert run(condition) == 0, "an engine is missing"


def test_service_builds_every_precision():
    from cspine.commands.build import build

    asked = [shlex.split(command)[1:] for command in commands("ExecStart")[:-1]]
    parsed = [build.make_context("build", words[1:]).params for words in asked]
    assert [words[0] for words in asked] == ["build"] * 3
    assert [params["precision"] for params in parsed] == ["fp32", "fp16", "int8"]
    assert {params["bundle"] for params in parsed} == {Path("/var/lib/cspine/bundle")}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_accepts_the_service(tmp_path):
    # It also asks whether the program is there, so here it is another one.
    text = SERVICE.read_text().replace("/opt/cspine/bin/cspine", "/bin/true")
    unit = write(tmp_path / SERVICE.name, text)
    verified = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_service_is_hardened():
    audited = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", SERVICE],
        capture_output=True,
        text=True,
        check=False,
    )
    if "unrecognized option" in audited.stderr:
        pytest.skip("this systemd cannot judge a unit offline")
    assert audited.returncode == 0, audited.stdout
