"""What is read of an NVIDIA device, what `doctor` says of it, and that nothing read breaks it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

import nvidia_samples as said
from cspine.cli import cspine
from cspine.nvidia.checks import Check, device_checks, software_checks
from cspine.nvidia.device import NvidiaDevice, read_nvidia
from cspine.nvidia.packages import installed_packages
from cspine.nvidia.software import Software, read_software
from cspine.nvidia.summary import rows
from nvidia_trees import program, write

NOTHING = Software(
    cuda=None,
    tensorrt=None,
    tensorrt_cuda=None,
    tensorrt_binding=None,
    tensorrt_module=None,
    tensorrt_rtx=None,
    pycuda=None,
)
WHOLE = replace(NOTHING, tensorrt_module="10.3.0", pycuda="2025.1")
CPU = "sys/devices/system/cpu/cpu{}/cpufreq"
GPU = "sys/class/devfreq/17000000.gpu"


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """An Orin NX as JetPack 6 shows it: two of its cores, its GPU, one DLA."""
    root = tmp_path / "board"
    write(root, "etc/nv_tegra_release", said.RELEASE_36)
    write(
        root,
        "proc/device-tree/model",
        "NVIDIA Jetson Orin NX Engineering Reference Developer Kit Super\0",
    )
    write(
        root,
        "proc/device-tree/compatible",
        said.COMPATIBLE_ORIN,
    )
    write(root, "proc/meminfo", "MemTotal:        7990272 kB\nMemAvailable:    6291456 kB")
    (root / "sys/bus/platform/devices/15880000.nvdla0").mkdir(parents=True)
    for core in (0, 10):
        write(root, f"{CPU.format(core)}/scaling_governor", "schedutil")
        write(root, f"{CPU.format(core)}/scaling_cur_freq", 729600 + core)
        write(root, f"{CPU.format(core)}/scaling_min_freq", 729600)
        write(root, f"{CPU.format(core)}/scaling_max_freq", 1510400)
    write(root, f"{GPU}/governor", "nvhost_podgov")
    write(root, f"{GPU}/cur_freq", 306000000)
    write(root, f"{GPU}/max_freq", 918000000)
    write(root, "sys/class/thermal/thermal_zone0/type", "cpu-thermal")
    write(root, "sys/class/thermal/thermal_zone0/temp", 48062)
    write(root, "sys/class/thermal/thermal_zone1/type", "off-thermal")
    write(root, "sys/class/thermal/cooling_device0/type", "gpu-throttle-alert")
    write(root, "sys/class/thermal/cooling_device0/cur_state", 0)
    write(root, "sys/class/thermal/cooling_device1/type", "pwm-fan")
    write(root, "sys/class/thermal/cooling_device1/cur_state", 2)
    write(root, "sys/class/thermal/cooling_device1/max_state", 3)
    write(root, "sys/class/hwmon/hwmon2/oc1_event_cnt", 0)
    write(root, "sys/class/hwmon/hwmon2/oc3_event_cnt", 0)
    write(root, "var/lib/nvpmodel/status", "pmode:0002")
    write(root, "etc/nvpmodel.conf", said.NVPMODEL_CONF)
    return root


@pytest.fixture
def tools(tmp_path: Path) -> str:
    """JetPack's programs; `tegrastats` goes on until it is ended."""
    folder = tmp_path / "bin"
    program(folder, "tegrastats", f"while :; do echo '{said.TEGRASTATS_36}'; sleep 0.2; done")
    program(folder, "nvpmodel", "echo NV Power Mode: MODE_15W; echo 2")
    return str(folder)


def read(root: Path, path: str = "") -> NvidiaDevice:
    device = read_nvidia(root, installed_packages(root), path=path)
    assert device is not None
    return device


def parts(device: NvidiaDevice | None, software: Software = WHOLE) -> dict[str, Check]:
    checks = [*software_checks(device, software), *device_checks(device, software)]
    return {check.part: check for check in checks}


def test_where_nothing_is_of_nvidia_there_is_no_device(tmp_path: Path) -> None:
    write(tmp_path, "sys/bus/pci/devices/0000:00:02.0/vendor", "0x8086")
    write(tmp_path, "sys/bus/pci/devices/0000:00:02.0/class", "0x030000")
    write(tmp_path, "sys/bus/pci/devices/0000:01:00.1/vendor", "0x10de")
    write(tmp_path, "sys/bus/pci/devices/0000:01:00.1/class", "0x040300")  # sound
    assert read_nvidia(tmp_path, {}, path=str(tmp_path)) is None
    checks = parts(None, NOTHING)
    assert checks["NVIDIA GPU"].remedy == "engines can be built ahead of time, not run"
    assert {part: check.remedy.partition(":")[0] for part, check in checks.items()} == {
        "tensorrt": "optional",
        "tensorrt-rtx": "optional",
        "pycuda": "optional",
        "NVIDIA GPU": "engines can be built ahead of time, not run",
    }


def told(value: object) -> object:
    """As `doctor --json` writes it."""
    return json.decode(json.encode(value))


def test_a_board_is_read_whole(board: Path, tools: str) -> None:
    device = read(board, tools)
    assert told(device.jetson) == {
        "model": "NVIDIA Jetson Orin NX Engineering Reference Developer Kit Super",
        "chip": "tegra234",
        "generation": "Orin",
        "l4t": "36.4.4",
        "jetpack": "6.2.1",
        "compute_capability": "8.7",
        "dla_cores": 1,
    }
    assert told(device.power_mode) == {"id": 2, "name": "MAXN_SUPER"}
    assert told(device.cpu_clocks) == [
        {
            "name": f"cpu{core}",
            "governor": "schedutil",
            "mhz": (729600 + core) / 1000,
            "minimum_mhz": 729.6,
            "maximum_mhz": 1510.4,
        }
        for core in (0, 10)
    ]
    assert told(device.device_clocks) == [
        {
            "name": "17000000.gpu",
            "governor": "nvhost_podgov",
            "mhz": 306.0,
            "minimum_mhz": None,
            "maximum_mhz": 918.0,
        }
    ]
    assert told(device.temperatures) == [
        {"name": "cpu-thermal", "celsius": 48.062},
        {"name": "off-thermal", "celsius": None},
    ]
    assert told(device.cooling) == [
        {"name": "gpu-throttle-alert", "state": 0, "maximum": None},
        {"name": "pwm-fan", "state": 2, "maximum": 3},
    ]
    assert (device.memory_available_mib, device.power_alarms) == (6144, {"oc1": 0, "oc3": 0})
    assert device.tegrastats is not None
    assert device.tegrastats.ram_mib == 7620
    assert device.unknown == {"gpus": "there is no nvidia-smi"}


def test_what_is_not_there_is_unknown_with_its_reason(tmp_path: Path) -> None:
    write(tmp_path, "etc/nv_tegra_release", "")
    assert read_nvidia(tmp_path, {}, path=str(tmp_path)) is None
    write(tmp_path, "etc/nv_tegra_release", "garbage")
    device = read(tmp_path, str(tmp_path))
    assert told(device.jetson) == dict.fromkeys(told(device.jetson) or {})
    assert device.unknown == {
        "gpus": "there is no nvidia-smi",
        "power_mode": "there is no nvpmodel",
        "tegrastats": "there is no tegrastats",
        "memory_available_mib": "no MemAvailable in /proc/meminfo",
        "cpu_clocks": "no cpufreq under /sys",
        "device_clocks": "no devfreq under /sys",
        "temperatures": "no thermal zone under /sys",
        "cooling": "no cooling device under /sys",
        "power_alarms": "no oc*_event_cnt under /sys/class/hwmon",
    }
    assert "mount /etc/nv_tegra_release" in parts(device)["Jetson Linux"].remedy
    assert parts(device)["power mode"].remedy == (
        "there is no nvpmodel: ask as root: sudo cspine doctor"
    )
    shown = dict(rows(device, NOTHING))
    assert shown["tegrastats"] == "unknown: there is no tegrastats"
    assert (shown["board"], shown["DLA cores"]) == ("unknown", "unknown")


def test_a_board_says_what_spoils_a_measurement(board: Path, tools: str) -> None:
    checks = parts(read(board, tools))
    assert checks["clocks"] == Check(
        part="clocks", state="not locked", remedy="before measuring: sudo jetson_clocks"
    )
    # A fan that turns holds nothing back, nor does the state of a clock.
    assert [part for part in checks if "alarm" in part or "alert" in part or "pwm" in part] == []
    write(board, "sys/class/thermal/cooling_device0/cur_state", 1)
    write(board, "sys/class/hwmon/hwmon2/oc3_event_cnt", 4)
    write(board, "proc/meminfo", "MemAvailable:    524288 kB")
    for folder in (CPU.format(0), CPU.format(10)):
        write(board, f"{folder}/scaling_min_freq", 1510400)
    checks = parts(read(board, tools))
    assert checks["clocks"].state == "not locked"  # the GPU's
    write(board, f"{GPU}/min_freq", 918000000)
    checks = parts(read(board, tools))
    assert "clocks" not in checks
    assert checks["gpu-throttle-alert"].state == "1"
    assert "cool the board" in checks["gpu-throttle-alert"].remedy
    assert checks["power alarm oc3"].state == "4 since the start"
    assert "more current than it may" in checks["power alarm oc3"].remedy
    assert "power alarm oc1" not in checks
    write(board, "sys/class/hwmon/hwmon2/oc1_event_cnt", 1)
    assert "stronger supply" in parts(read(board, tools))["power alarm oc1"].remedy
    assert checks["memory"].state == "512 MiB free"
    assert checks["memory"].remedy.endswith("end other programs")


def test_a_clock_whose_range_is_not_shown_counts_as_not_locked(board: Path) -> None:
    for name in ("min_freq", "max_freq"):
        (board / GPU / name).unlink(missing_ok=True)
    (clock,) = read(board).device_clocks
    assert (clock.minimum_mhz, clock.maximum_mhz, clock.fixed) == (None, None, False)


def test_a_release_too_old_is_named(board: Path) -> None:
    write(board, "etc/nv_tegra_release", said.RELEASE_35)
    device = read(board)
    assert parts(device)["Jetson Linux"] == Check(
        part="Jetson Linux", state="35.4.1", remedy="flash JetPack 6 or newer"
    )


def test_a_mode_that_no_file_says_is_asked_for(board: Path, tools: str) -> None:
    (board / "var/lib/nvpmodel/status").unlink()
    assert told(read(board, tools).power_mode) == {"id": 2, "name": "MODE_15W"}
    program(Path(tools), "nvpmodel", "echo root only >&2; exit 1")
    device = read(board, tools)
    assert device.power_mode is None
    assert parts(device)["power mode"].remedy == (
        "nvpmodel failed (exit code 1): root only: ask as root: sudo cspine doctor"
    )


def test_nothing_is_changed(board: Path, tools: str) -> None:
    (board / "var/lib/nvpmodel/status").unlink()
    for name in ("nvpmodel", "tegrastats", "jetson_clocks", "nvidia-smi"):
        program(Path(tools), name, f'echo {name} "$@" >>{tools}/calls; echo x')
    read(board, tools)
    assert sorted((Path(tools) / "calls").read_text().splitlines()) == [
        "nvidia-smi --help-query-gpu",
        "nvpmodel -q",
        "tegrastats --interval 200",
    ]


def test_the_rows_are_for_people(board: Path, tools: str) -> None:
    shown = dict(
        rows(read(board, tools), replace(NOTHING, tensorrt="10.3.0", tensorrt_cuda="12.5"))
    )
    assert shown["JetPack"] == "6.2.1"
    assert shown["chip"] == "tegra234 (Orin)"
    assert shown["power mode"] == "2 (MAXN_SUPER)"
    assert shown["CPU clocks"] == "now 730, least 730, most 1510 MHz schedutil, 2 cores"
    assert shown["17000000.gpu"] == "now 306, most 918 MHz nvhost_podgov"
    assert shown["hottest"] == "48.1 °C (cpu-thermal)"
    assert shown["TensorRT"] == "10.3.0 for CUDA 12.5"
    assert shown["memory available"] == "6144 MiB"
    assert shown["gpus"] == "unknown: there is no nvidia-smi"


def workstation(root: Path, driver: str = "nvidia") -> NvidiaDevice:
    write(root, "sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de")
    write(root, "sys/bus/pci/devices/0000:01:00.0/class", "0x030200")
    if driver:
        (root / "sys/bus/pci/devices/0000:01:00.0/driver").symlink_to(f"../drivers/{driver}")
    return read(root, str(root / "bin"))


@pytest.mark.parametrize(("driver", "state"), [("nouveau", "nouveau"), ("", "none")])
def test_a_card_without_its_driver(tmp_path: Path, driver: str, state: str) -> None:
    checks = parts(workstation(tmp_path, driver))
    assert checks["0000:01:00.0"].state == f"driver: {state}"
    assert checks["0000:01:00.0"].remedy == "install NVIDIA's driver, then reboot"


@pytest.mark.parametrize(
    ("body", "remedy"),
    [
        (f"echo '{said.MISMATCH}'; echo 'NVML library version: 550.144'; exit 18", "reboot"),
        (f'echo "{said.NO_DRIVER}"; exit 9', "sudo modprobe nvidia"),
        (f"echo {said.NO_DEVICE}; exit 6", "dmesg"),
        ("echo quite another; exit 1", "run nvidia-smi"),
    ],
)
def test_what_nvidia_smi_says_when_it_fails(tmp_path: Path, body: str, remedy: str) -> None:
    program(tmp_path / "bin", "nvidia-smi", body)
    checks = parts(workstation(tmp_path))
    assert remedy in checks["NVIDIA GPU"].remedy


# Composed: each cell has the form that a driver prints.
SMI = """case "$1" in
--help-query-gpu) cat <<'END'
{help}
END
;;
*) cat <<'END'
NVIDIA H100 80GB HBM3, 550.54.15, 9.0, 81559, 1012, 1275, P0, Disabled, 0x0000000000000024
NVIDIA RTX A2000, 550.54.15, 8.6, 6138, 5990, 210, [N/A], Enabled, 0x0000000000000001
GRID, 550.54.15, [GPU requires reset], 6138, 12, 0, [GPU requires reset], Enabled, [N/A]
END
esac"""
HELP = "\n".join(
    f'"{name}"'
    for name in (
        *("name", "driver_version", "compute_cap", "memory.total", "memory.free"),
        *("clocks.current.sm", "pstate", "persistence_mode", "clocks_event_reasons.active"),
    )
)


@pytest.fixture
def gpus(tmp_path: Path) -> NvidiaDevice:
    """A machine with three cards: one hot and full, one idle, one lost."""
    program(tmp_path / "bin", "nvidia-smi", SMI.format(help=HELP))
    return workstation(tmp_path)


def test_gpus_are_read_and_shown(gpus: NvidiaDevice) -> None:
    assert (len(gpus.gpus), gpus.driver) == (3, "550.54.15")
    shown = [*rows(gpus, NOTHING)]
    assert ("GPU", "NVIDIA H100 80GB HBM3") in shown
    assert ("  memory", "1012 of 81559 MiB free") in shown
    assert ("  clock", "1275 MHz") in shown
    assert ("  held back by", "power limit, heat, by the driver") in shown
    assert ("  [N/A]", "performance state") in shown
    assert dict(shown)["  this nvidia-smi does not know it"].startswith("maximum mhz, memory mhz")
    assert (gpus.power_mode, gpus.tegrastats) == (None, None)
    assert "power_mode" not in gpus.unknown


def test_gpus_say_what_spoils_a_measurement(gpus: NvidiaDevice) -> None:
    software = replace(WHOLE, tensorrt_cuda="13", tensorrt_rtx="1.7.1")
    checks = [*software_checks(gpus, software), *device_checks(gpus, software)]
    assert [(check.part, check.state) for check in checks if check.remedy] == [
        ("tensorrt-rtx", "1.7.1"),
        ("driver", "550.54.15: too old"),
        ("NVIDIA H100 80GB HBM3", "held back: power limit"),
        ("NVIDIA H100 80GB HBM3", "held back: heat, by the driver"),
        ("persistence", "off"),
        ("GPU memory", "1012 MiB free"),
        ("GRID", "requires reset"),
    ]
    remedies = {check.state: check.remedy for check in checks}
    assert remedies["1.7.1"] == "it cannot build for compute capability 9.0: use tensorrt"
    assert remedies["requires reset"] == "sudo nvidia-smi --gpu-reset"


def test_doctor_shows_an_nvidia_device_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def doctor(*words: str) -> str:
        done = CliRunner().invoke(cspine, ["doctor", *words])
        assert done.exit_code == 0, done.output
        return done.output

    program(tmp_path, "nvidia-smi", SMI.format(help=HELP))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    text = doctor()
    assert "\nNVIDIA " in text
    assert "sudo nvidia-smi --gpu-reset" in text
    document = json.decode(doctor("--json"))
    assert document["nvidia"]["gpus"][0]["held_back_by"] == ["power limit", "heat, by the driver"]
    assert set(document["checks"][0]) == {"part", "state", "remedy"}
    assert "tensorrt" in document["software"]


def test_a_driver_too_old_for_tensorrt_is_told(tmp_path: Path) -> None:
    device = replace(workstation(tmp_path), driver="550.54.15")
    assert "driver" not in parts(device, replace(WHOLE, tensorrt_cuda="12.9"))
    assert "driver" not in parts(device, replace(WHOLE, tensorrt_cuda="99"))
    assert "driver" not in parts(replace(device, driver="new"), replace(WHOLE, tensorrt_cuda="13"))
    checks = parts(device, replace(WHOLE, tensorrt_cuda="13"))
    assert checks["driver"] == Check(
        part="driver",
        state="550.54.15: too old",
        remedy="TensorRT here is for CUDA 13: install driver 580 or newer",
    )


@pytest.mark.parametrize(
    ("software", "remedy"),
    [
        (NOTHING, "sudo apt-get install nvidia-jetpack"),
        (replace(NOTHING, tensorrt="10.3.0"), "sudo apt-get install python3-libnvinfer"),
        (
            replace(NOTHING, tensorrt="10.3.0", tensorrt_binding="10.3.0"),
            "make the venv with the system's python3 and --system-site-packages",
        ),
        (WHOLE, ""),
    ],
)
def test_each_lack_of_tensorrt_has_its_own_remedy(
    board: Path, software: Software, remedy: str
) -> None:
    assert parts(read(board), software)["tensorrt"].remedy == remedy


def test_pycuda_and_rtx(board: Path) -> None:
    checks = parts(read(board), replace(NOTHING, tensorrt_rtx="1.7.1"))
    assert checks["pycuda"].remedy == (
        "pip install 'cspine[tensorrt]', with /usr/local/cuda/bin on the PATH"
    )
    assert checks["tensorrt-rtx"].remedy == (
        "it cannot build for compute capability 8.7: use tensorrt"
    )
    assert parts(read(board), NOTHING)["tensorrt-rtx"].remedy == checks["tensorrt-rtx"].remedy
    assert parts(None, replace(NOTHING, tensorrt_rtx="1.7.1"))["tensorrt-rtx"].remedy == ""


def test_a_node_that_may_not_be_opened(board: Path) -> None:
    write(board, "dev/nvmap", "")
    assert read(board).closed == ()
    check = parts(replace(read(board), closed=("/dev/nvmap",)))["/dev/nvmap"]
    assert check.remedy.startswith("sudo usermod --append --groups video,render")


def test_software_is_read_of_packages_and_of_the_toolkit(tmp_path: Path) -> None:
    write(tmp_path, "var/lib/dpkg/status", said.DPKG)
    software = read_software(tmp_path, installed_packages(tmp_path))
    assert (software.tensorrt, software.tensorrt_binding) == ("10.3.0.30", "10.3.0.30")
    assert software.cuda == "12.6.68"
    assert software.tensorrt_cuda == "12.5"
    write(tmp_path, "usr/local/cuda/version.json", said.CUDA_JSON)
    assert read_software(tmp_path, {}).cuda == "12.6.11"
    assert read_software(tmp_path, {}).tensorrt is None


def test_what_dpkg_has_removed_is_not_installed(tmp_path: Path) -> None:
    assert installed_packages(tmp_path) == {}
    write(tmp_path, "var/lib/dpkg/status", said.DPKG)
    packages = installed_packages(tmp_path)
    assert packages["nvidia-jetpack"] == "6.2+b77"
    assert "libnvinfer8" not in packages


FILES = (
    "etc/nv_tegra_release",
    "etc/nvpmodel.conf",
    "proc/device-tree/compatible",
    "proc/device-tree/model",
    "proc/driver/nvidia/version",
    "proc/meminfo",
    "sys/bus/pci/devices/0000:01:00.0/class",
    "sys/bus/pci/devices/0000:01:00.0/vendor",
    "sys/class/devfreq/17000000.gpu/cur_freq",
    "sys/class/hwmon/hwmon2/oc3_event_cnt",
    "sys/class/thermal/cooling_device0/cur_state",
    "sys/class/thermal/thermal_zone0/temp",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq",
    "sys/module/nvidia/version",
    "usr/local/cuda/version.json",
    "var/lib/dpkg/status",
    "var/lib/nvpmodel/status",
)
# Pieces of what the files hold, so that some of it is believed.
PIECES = (
    *(
        "9" * 30,
        "-1",
        "0x10de",
        "0x030000",
        "pmode:0002",
        "nvidia,tegra234",
        "MemAvailable:",
        " kB",
    ),
    *("# R36 (release), REVISION: 4", ".", "\n\n", "Package: libnvinfer10\n", "Version: 10+cuda"),
    *(
        "Status: install ok installed\n",
        "NVRM version: Kernel Module 540.4.0",
        '"cuda": {"version": ',
    ),
)
CONTENT = st.binary(max_size=80) | st.lists(st.sampled_from(PIECES)).map("".join)


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.sampled_from(FILES), CONTENT))
def test_no_garbage_breaks_it(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes | str]
) -> None:
    root = tmp_path_factory.mktemp("garbage")
    for name, content in files.items():
        path = write(root, name, "")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    packages = installed_packages(root)
    software = read_software(root, packages)
    device = read_nvidia(root, packages, path=str(root))
    json.encode([device, software])
    for check in [*software_checks(device, software), *device_checks(device, software)]:
        assert check.state
    if device:
        assert all(value for _, value in rows(device, software))
