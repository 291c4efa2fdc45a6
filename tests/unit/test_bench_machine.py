from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from cspine_bench.latency.machine import (
    Machine,
    MachineState,
    clock_shift,
    peak_memory_mib,
    void_reasons,
)

STATE = MachineState(
    seconds=0.0,
    spin_ns=15_000,
    cpu_mhz=None,
    load=0.5,
    celsius=None,
    throttled=None,
    governor=None,
    fixed=None,
    power_mode=None,
    device_mhz={},
)


def states(**columns: list[object]) -> list[MachineState]:
    rows = zip(*columns.values(), strict=True)
    return [msgspec.structs.replace(STATE, **dict(zip(columns, row, strict=True))) for row in rows]


def write(root: Path, name: str, text: object) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(f"{text}\n")


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """What Linux shows of a board of two cores."""
    for core, clock in enumerate((1_500_000, 2_000_000)):
        folder = f"sys/devices/system/cpu/cpu{core}"
        write(tmp_path, f"{folder}/cpufreq/scaling_cur_freq", clock)
        write(tmp_path, f"{folder}/cpufreq/scaling_governor", "schedutil")
        write(tmp_path, f"{folder}/cpufreq/scaling_min_freq", 700_000)
        write(tmp_path, f"{folder}/cpufreq/scaling_max_freq", 2_000_000)
        write(tmp_path, f"{folder}/thermal_throttle/core_throttle_count", core + 3)
    write(tmp_path, "sys/class/thermal/thermal_zone0/temp", 41_500)
    write(tmp_path, "sys/class/thermal/thermal_zone1/temp", 52_250)
    write(tmp_path, "sys/class/devfreq/17000000.gpu/cur_freq", 918_000_000)
    write(tmp_path, "var/lib/nvpmodel/status", "pmode:0002")
    write(tmp_path, "proc/loadavg", "0.25 0.5 0.75 1/100 4242")
    return tmp_path


def test_a_look_reads_what_there_is(board: Path) -> None:
    state = Machine(board).look()
    assert 1_000 < state.spin_ns < 10_000_000
    assert state.cpu_mhz == 2000.0
    assert (state.celsius, state.throttled, state.load) == (52.25, 7, 0.25)
    assert (state.governor, state.power_mode) == ("schedutil", "pmode:0002")
    assert state.device_mhz == {"17000000.gpu": 918.0}
    assert state.fixed is False
    for core in range(2):
        write(board, f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_min_freq", 2_000_000)
    assert Machine(board).look().fixed is True


def test_what_a_virtual_machine_hides_is_none(tmp_path: Path) -> None:
    write(tmp_path, "proc/loadavg", "0.00 0 0 1/1 1")
    (tmp_path / "sys/class/thermal/thermal_zone0/temp").mkdir(parents=True)  # cannot be read
    state = Machine(tmp_path).look()
    assert (state.cpu_mhz, state.celsius, state.throttled, state.governor) == (None,) * 4
    assert (state.power_mode, state.device_mhz, state.fixed) == (None, {}, None)


def test_here_it_looks_and_time_goes_on() -> None:
    machine = Machine()
    first, second = machine.look(), machine.look()
    assert 0.0 <= first.seconds <= second.seconds
    assert first.load >= 0.0
    assert 5.0 < peak_memory_mib() < 100_000.0


def test_a_clock_that_falls_half_way_makes_the_run_void() -> None:
    steady = [15_000] * 20
    assert clock_shift(states(spin_ns=steady)) == 0.0
    assert void_reasons(states(spin_ns=steady)) == []
    slower = [15_000] * 10 + [15_400] * 10
    assert clock_shift(states(spin_ns=slower)) == pytest.approx(400 / 15_000)
    (reason,) = void_reasons(states(spin_ns=slower))
    assert reason.startswith("the clocks moved by 2.7% between the halves of the run, expected")
    assert not void_reasons(states(spin_ns=[15_000] * 10 + [15_200] * 10))


def test_a_clock_that_rises_or_falls_late_is_seen_too() -> None:
    assert void_reasons(states(spin_ns=[16_000] * 5 + [15_000] * 15))
    assert void_reasons(states(spin_ns=[15_000] * 14 + [16_000] * 6))


def test_other_work_on_the_machine_does_not() -> None:
    disturbed = [15_000, 15_000, 15_000, 15_000, 15_000, 19_000, 22_000, 15_000] * 2
    assert clock_shift(states(spin_ns=[15_000] * 16 + disturbed)) == 0.0


def test_a_clock_that_rises_and_falls_by_the_moment_has_not_moved() -> None:
    rng = np.random.default_rng(0)
    boosted = rng.choice([13_460, 13_910, 14_380, 14_900], p=[0.1, 0.2, 0.5, 0.2], size=(50, 161))
    void = [bool(void_reasons(states(spin_ns=row.tolist()))) for row in boosted]
    assert sum(void) == 0


def test_a_clock_that_can_be_read_counts_more_than_the_work() -> None:
    work = [15_000] * 4 + [18_000] * 4
    assert clock_shift(states(spin_ns=work, cpu_mhz=[2000.0] * 8)) == 0.0
    assert clock_shift(states(spin_ns=[1] * 8, cpu_mhz=[2000.0] * 4 + [1900.0] * 4)) > 0.05


def test_throttling_and_other_modes_make_it_void() -> None:
    (reason,) = void_reasons(states(throttled=[3, 3, 5]))
    assert reason == "cores were throttled 2 times: cool them"
    (reason,) = void_reasons(states(power_mode=["pmode:0002", "pmode:0000"]))
    assert reason == "the power mode changed during the run: set it before"
    assert void_reasons(states(governor=["performance", "powersave"]))
    assert void_reasons(states(fixed=[True, False]))
    assert not void_reasons(states(throttled=[3, 3], governor=["performance"] * 2))
