"""What NVIDIA's files and programs say is read as it is, and garbage as unknown."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

import nvidia_samples as said
from cspine.nvidia.driver import driver_version, pci_gpus
from cspine.nvidia.jetson import read_jetson
from cspine.nvidia.power_mode import PowerMode, parse_answer
from cspine.nvidia.program import NoAnswer
from cspine.nvidia.smi import FIELDS, REASONS, known_fields, parse_gpus
from cspine.nvidia.tegrastats import parse_sample
from nvidia_trees import write


def test_tegrastats_of_jetpack_5() -> None:
    sample = parse_sample(said.TEGRASTATS_35)
    assert (sample.ram_used_mib, sample.ram_mib) == (4321, 62801)
    assert (sample.gpu_busy_percent, sample.gpu_mhz, sample.memory_mhz) == (0, 0, 2133)
    assert sample.celsius["CPU"] == 44.562
    assert "GPU" not in sample.celsius  # it has no power
    assert sample.milliwatts["VDD_GPU_SOC"] == 2340


def test_tegrastats_of_jetpack_6() -> None:
    sample = parse_sample(said.TEGRASTATS_36)
    assert (sample.ram_used_mib, sample.ram_mib) == (1343, 7620)
    assert (sample.gpu_busy_percent, sample.gpu_mhz, sample.memory_mhz) == (0, 305, 204)
    assert sample.celsius == {
        "cpu": 48.562, "soc2": 46.593, "soc0": 48.625, "gpu": 49.625, "tj": 49.312, "soc1": 47.937,
    }  # fmt: skip
    assert sample.milliwatts == {"VDD_IN": 5251, "VDD_CPU_GPU_CV": 512, "VDD_SOC": 2720}


def test_tegrastats_of_jetpack_7() -> None:
    orin = parse_sample(said.TEGRASTATS_39)
    assert (orin.gpu_busy_percent, orin.gpu_mhz, orin.memory_mhz) == (0, 1300, 3199)
    assert orin.celsius == {"cpu": 52.968}
    thor = parse_sample(said.TEGRASTATS_THOR)
    assert (thor.ram_mib, thor.gpu_busy_percent, thor.gpu_mhz) == (125749, None, None)
    assert thor.celsius["gpu"] == 62.906
    assert thor.milliwatts == {
        "VDD_GPU": 37528, "VDD_CPU_SOC_MSS": 18961, "VIN_SYS_5V0": 18331, "VIN": 87426,
    }  # fmt: skip
    array = parse_sample(said.TEGRASTATS_ARRAY)
    assert (array.gpu_busy_percent, array.gpu_mhz, array.memory_mhz) == (None, 1000, 2133)


def test_nvpmodel() -> None:
    assert parse_answer(said.NVPMODEL_USER) == PowerMode(id=1, name="5W")
    assert parse_answer(said.NVPMODEL_THOR) == PowerMode(id=0, name="MAXN")
    with pytest.raises(NoAnswer, match="named no power mode"):
        parse_answer("NVPM ERROR: 13\n")


@pytest.mark.parametrize(
    ("release", "packages", "l4t", "jetpack"),
    [
        (said.RELEASE_35, {}, "35.4.1", None),
        (said.RELEASE_36, {}, "36.4.4", "6.2.1"),
        (said.RELEASE_36, {"nvidia-jetpack": "6.2.2+b24"}, "36.4.4", "6.2.2"),
        (said.RELEASE_38, {}, "38.2.0", "7.0"),
        (said.RELEASE_38, {"nvidia-jetpack-runtime": "7.2.1-b49"}, "38.2.0", "7.2.1"),
        ("# R99 (release), REVISION: 1.0", {}, "99.1.0", None),
        ("# R36 (release), REVISION: 5", {}, "36.5.0", "6.2.2"),
        ("R36", {}, None, None),
    ],
)
def test_releases(
    tmp_path: Path, release: str, packages: dict[str, str], l4t: str, jetpack: str
) -> None:
    write(tmp_path, "etc/nv_tegra_release", release)
    jetson = read_jetson(tmp_path, packages)
    assert jetson is not None
    assert (jetson.l4t, jetson.jetpack) == (l4t, jetpack)


@pytest.mark.parametrize(
    ("compatible", "chip", "capability"),
    [
        (said.COMPATIBLE_ORIN, "tegra234", "8.7"),
        (said.COMPATIBLE_THOR, "tegra264", "11.0"),
        ("nvidia,tegra999\0", "tegra999", None),
    ],
)
def test_chips(tmp_path: Path, compatible: str, chip: str, capability: str) -> None:
    write(tmp_path, "proc/device-tree/compatible", compatible)
    jetson = read_jetson(tmp_path, {})
    assert jetson is not None
    assert (jetson.chip, jetson.compute_capability, jetson.dla_cores) == (chip, capability, None)
    (tmp_path / "sys/bus/platform/devices").mkdir(parents=True)
    assert getattr(read_jetson(tmp_path, {}), "dla_cores", None) == 0
    for name in ("15880000.nvdla0", "158c0000.nvdla1"):
        (tmp_path / "sys/bus/platform/devices" / name).mkdir()
    assert getattr(read_jetson(tmp_path, {}), "dla_cores", None) == 2


def test_another_board_with_a_device_tree_is_no_jetson(tmp_path: Path) -> None:
    write(tmp_path, "proc/device-tree/compatible", "raspberrypi,5-model-b\0brcm,bcm2712\0")
    assert read_jetson(tmp_path, {}) is None


@pytest.mark.parametrize(
    ("line", "version"),
    [(said.DRIVER_ORIN, "540.4.0"), (said.DRIVER_PC, "580.173.02"), ("GCC version: 14.2", None)],
)
def test_driver(tmp_path: Path, line: str, version: str | None) -> None:
    write(tmp_path, "proc/driver/nvidia/version", line)
    assert driver_version(tmp_path) == version
    assert pci_gpus(tmp_path) == ()


def test_nvidia_smi_is_asked_by_the_names_that_it_has() -> None:
    old, new = known_fields(said.HELP_OLD), known_fields(said.HELP_NEW)
    assert old == {
        "name": "name",
        "mhz": "clocks.current.sm",
        "performance_state": "pstate",
        "held_back_by": "clocks_throttle_reasons.active",
    }
    assert new["held_back_by"] == "clocks_event_reasons.active"
    assert new["compute_capability"] == "compute_cap"
    assert known_fields("nvidia-smi: unknown option") == {}


def test_what_nvidia_smi_does_not_know_is_kept_as_it_says_it() -> None:
    columns = ("index", "name", "memory_mib", "memory_free_mib", "mhz", "celsius", "watts")
    (orin,) = parse_gpus(said.CSV_ORIN, dict.fromkeys(columns, ""))
    assert orin.name == "Orin (nvgpu)"
    assert (orin.memory_mib, orin.watts) == (None, None)
    assert orin.unknown["memory_mib"] == "[N/A]"
    assert orin.unknown["held_back_by"] == "this nvidia-smi does not know it"
    assert set(orin.unknown) == set(FIELDS) - {"name"}


def test_several_gpus() -> None:
    columns = ("compute_capability", "mode", "driver", "name", "index")
    titan, ada = parse_gpus(said.CSV_TWO, dict.fromkeys(columns, ""))
    assert (titan.name, titan.compute_capability) == ("NVIDIA TITAN V", "7.0")
    assert (ada.name, ada.compute_capability) == ("NVIDIA RTX 5880 Ada Generation", "8.9")


@pytest.mark.parametrize(
    ("mask", "reasons"),
    [
        ("0x0000000000000000", ()),
        ("0x0000000000000001", ("idle",)),
        ("0x00000000000001FF", tuple(REASONS.values())),  # NVIDIA/nvidia-settings, issue 80
        ("0x0000000000000060", ("heat, by the driver", "heat, by the hardware")),
        ("0x8000000000000004", ("power limit", "reason 0x8000000000000000")),
        ("[N/A]", None),
        ("Not Active", None),
    ],
)
def test_reasons(mask: str, reasons: tuple[str, ...] | None) -> None:
    (gpu,) = parse_gpus(mask, {"held_back_by": ""})
    assert gpu.held_back_by == reasons


def test_each_reason_is_one_bit() -> None:
    assert sorted(REASONS) == [1 << place for place in range(9)]


@pytest.mark.parametrize("answer", ["", "\n", "a, b", said.MISMATCH + ", and more"])
def test_another_table_than_asked_for_is_no_answer(answer: str) -> None:
    with pytest.raises(NoAnswer, match="another table"):
        parse_gpus(answer, {"name": "", "mhz": "", "watts": ""})


LINES = [getattr(said, name) for name in vars(said) if name.startswith("TEGRASTATS")]


@given(st.text() | st.sampled_from(LINES).flatmap(st.permutations).map("".join))
def test_no_line_of_tegrastats_breaks_it(line: str) -> None:
    sample = parse_sample(line)
    assert json.decode(json.encode(sample))
    assert all(re.fullmatch(r"\w+", name) for name in [*sample.celsius, *sample.milliwatts])


@given(st.lists(st.text() | st.sampled_from(["[N/A]", "9" * 400, "1e999", "nan", "0x" + "f" * 16])))
def test_no_table_of_nvidia_smi_breaks_it(cells: list[str]) -> None:
    named = {attribute: names[0] for attribute, names in FIELDS.items()}
    row = [*cells, *["[N/A]"] * len(named)][: len(named)]
    try:
        gpus = parse_gpus(", ".join(row), named)
    except NoAnswer:
        return
    for gpu in gpus:
        assert json.decode(json.encode(gpu))
        assert set(gpu.unknown) == {name for name in FIELDS if getattr(gpu, name) is None}


@given(st.text())
def test_no_answer_of_nvpmodel_breaks_it(answer: str) -> None:
    with suppress(NoAnswer):
        assert parse_answer(answer).id >= 0
