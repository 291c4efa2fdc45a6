"""The recipes for a Jetson, as far as they run on any Linux machine.

What only a board can show is not tested here: that TensorRT is found in the environment, and that
the engines build under the service's restrictions.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
JETSON = REPOSITORY / "jetson"
INSTALL, SERVICE = (JETSON / name for name in ("install.sh", "cspine-build.service"))
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


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A file of the right name: what is refused is refused before anyone opens it."""
    return write(tmp_path / "cspine-0.0.0-py3-none-any.whl", "")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_bash_parses_the_script(script):
    assert bash(Path("-n"), script).returncode == 0
    assert os.access(script, os.X_OK)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_has_no_complaint(script):
    checked = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_help_shows_an_example(script):
    shown = bash(script, "--help")
    assert shown.returncode == 0
    assert "Example:" in shown.stdout


@elsewhere
def test_install_says_that_this_is_no_jetson(wheel, tmp_path):
    refused = bash(INSTALL, "--prefix", tmp_path / "new", wheel)
    assert refused.returncode == 2
    assert "no Jetson" in refused.stderr
    assert "--not-a-jetson" in refused.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no wheel given"),
        (["--prefix"], "--prefix needs a value"),
        (["--perfix", "x"], "unknown option --perfix"),
        (["other-1.0.whl"], "is no wheel of cspine"),
        (["WHEEL", "WHEEL"], "two wheels"),
        (["--find-links", "nowhere", "WHEEL"], "nowhere is no folder"),
        (["--not-a-jetson", "--python", "no-such-python", "WHEEL"], "no no-such-python"),
    ],
)
def test_install_refuses_with_a_remedy(arguments, message, wheel, tmp_path):
    given = [str(wheel) if word == "WHEEL" else word for word in arguments]
    refused = bash(INSTALL, *given)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert "to do:" in refused.stderr


def test_install_leaves_a_folder_alone_that_is_no_environment(wheel, tmp_path):
    precious = write(tmp_path / "home" / "precious", "kept")
    refused = bash(
        INSTALL, "--not-a-jetson", "--python", sys.executable, "--prefix", precious.parent, wheel
    )
    assert refused.returncode == 2
    assert "is no virtual environment" in refused.stderr
    assert [file.name for file in precious.parent.iterdir()] == ["precious"]


def test_install_refuses_an_environment_that_cannot_see_tensorrt(wheel, tmp_path):
    write(tmp_path / "env" / "pyvenv.cfg", "include-system-site-packages = false\n")
    refused = bash(
        INSTALL, "--not-a-jetson", "--python", sys.executable, "--prefix", tmp_path / "env", wheel
    )
    assert refused.returncode == 2
    assert "does not see the system's packages" in refused.stderr


@elsewhere
def test_install_refuses_the_tensorrt_extra_without_tensorrt(wheel, tmp_path):
    found = subprocess.run(
        [sys.executable, "-c", "import importlib.util as u; print(u.find_spec('tensorrt'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    if found.stdout.strip() != "None":
        pytest.skip("this machine has TensorRT")
    refused = bash(
        INSTALL, "--not-a-jetson", "--tensorrt", "--python", sys.executable,
        "--prefix", tmp_path / "new", wheel,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "nvidia-jetpack" in refused.stderr


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this repository and of everything that it needs."""
    folder = tmp_path_factory.mktemp("wheelhouse")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    backend = ["download", "--quiet", "--no-deps", "--dest", tmp_path_factory.mktemp("backend")]
    reached = subprocess.run([*pip, *backend, "hatchling"], capture_output=True, check=False)
    if reached.returncode:
        pytest.skip("no package index can be reached")
    built = subprocess.run(
        [*pip, "wheel", "--quiet", "--wheel-dir", folder, REPOSITORY],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


@pytest.mark.slow
def test_install_from_a_wheelhouse_twice(wheelhouse, tmp_path):
    (wheel,) = wheelhouse.glob("cspine-*.whl")
    prefix = tmp_path / "opt" / "cspine"
    for _ in range(2):
        done = bash(
            INSTALL, "--not-a-jetson", "--find-links", wheelhouse, "--python", sys.executable,
            "--prefix", prefix, wheel,
            # Nothing may be asked of an index.
            PIP_INDEX_URL="http://127.0.0.1:9/",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "onnxruntime" in done.stdout
    assert "include-system-site-packages = true" in (prefix / "pyvenv.cfg").read_text()
    digest = subprocess.run(["sha256sum", wheel], capture_output=True, text=True, check=True)
    assert (prefix / "wheel.sha256").read_text().strip() == digest.stdout.split()[0]
    doctor = subprocess.run(
        [prefix / "bin" / "cspine", "doctor", "--json"], capture_output=True, text=True, check=True
    )
    checks = {check["part"]: check["state"] for check in json.loads(doctor.stdout)["checks"]}
    assert checks["onnxruntime"] != "missing"


@pytest.mark.slow
def test_install_fails_loudly_if_the_wheelhouse_lacks_a_dependency(wheelhouse, tmp_path):
    (wheel,) = wheelhouse.glob("cspine-*.whl")
    shutil.copy(wheel, tmp_path)
    done = bash(
        INSTALL, "--not-a-jetson", "--find-links", tmp_path, "--python", sys.executable,
        "--prefix", tmp_path / "env", tmp_path / wheel.name,
    )  # fmt: skip
    assert done.returncode not in (0, 2)
    assert "No matching distribution found" in done.stderr
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


def test_service_builds_both_precisions():
    from cspine.commands.build import build

    asked = [shlex.split(command)[1:] for command in commands("ExecStart")[:-1]]
    parsed = [build.make_context("build", words[1:]).params for words in asked]
    assert [words[0] for words in asked] == ["build", "build"]
    assert [params["precision"] for params in parsed] == ["fp32", "int8"]
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
