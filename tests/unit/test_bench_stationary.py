from __future__ import annotations

from collections.abc import Iterable, Iterator

from cspine_bench.latency.stationary import CAP, WarmUp, stationary, warm_up


def warmed(milliseconds: Iterable[float]) -> WarmUp:
    """Warm up with runs that take so long, by a clock of their own."""
    now = [0]
    times: Iterator[float] = iter(milliseconds)

    def run() -> None:
        now[0] += round(next(times) * 1e6)

    return warm_up([run], clock=lambda: now[0])


def test_three_windows_must_agree() -> None:
    assert not stationary([1.0, 1.0])
    assert stationary([9.0, 1.0, 1.04, 1.02])
    assert not stationary([1.0, 1.0, 1.0, 1.06])
    assert stationary([1.0, 1.0, 1.0, 1.06], within=0.07)


def test_it_runs_on_until_they_do_and_no_longer() -> None:
    found = warmed([16.0] * 5 + [8.0] * 5 + [2.0, 2.0, 2.0, 90.0, 2.0] * 3)
    assert found == WarmUp(windows_ms=[16.0, 8.0, 2.0, 2.0, 2.0], stationary=True)


def test_what_never_settles_is_said() -> None:
    found = warmed(1.03**number for number in range(5 * CAP))
    assert len(found.windows_ms) == CAP
    assert not found.stationary


def test_a_window_runs_everything_equally_often() -> None:
    ran: list[str] = []
    now = iter(range(0, 10_000, 7))
    runs = [lambda name=name: ran.append(name) for name in "ab"]  # type: ignore[misc]
    found = warm_up(runs, clock=lambda: next(now))
    assert found.stationary
    assert ran == list("ababab" * 3)
