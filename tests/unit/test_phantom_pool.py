"""Jobs on all cores."""

from __future__ import annotations

import os
from math import factorial, isqrt
from operator import methodcaller

import pytest

from cspine_phantom.pool import AHEAD, FEW, spread


def test_results_come_in_the_order_of_the_jobs() -> None:
    told: list[tuple[int, int]] = []
    jobs = range(40, 0, -1)  # the first are the largest
    found = list(spread(factorial, jobs, progress=lambda done, total: told.append((done, total))))
    assert found == [factorial(job) for job in jobs]
    assert told == [(number, 40) for number in range(1, 41)]


def test_few_jobs_start_no_process() -> None:
    called = methodcaller("__call__")
    assert list(spread(called, [os.getpid] * FEW)) == [os.getpid()] * FEW
    assert os.getpid() not in list(spread(called, [os.getpid] * (FEW + 1)))


def test_jobs_are_not_taken_far_ahead_of_the_caller() -> None:
    jobs = _Counted(10_000)
    results = spread(isqrt, jobs)
    assert next(results) == 0
    assert jobs.taken == AHEAD * (os.cpu_count() or 1)
    results.close()


@pytest.mark.parametrize("jobs", [[1, -1], [1] * FEW + [-1]], ids=["here", "in a process"])
def test_a_fault_is_raised_at_its_place(jobs: list[int]) -> None:
    results = spread(isqrt, jobs)
    for _ in jobs[:-1]:
        assert next(results) == 1
    with pytest.raises(ValueError, match="nonnegative"):
        next(results)


class _Counted:
    """Jobs 0 to ``total - 1``, and how many have been taken."""

    def __init__(self, total: int) -> None:
        self.total, self.taken = total, 0

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, number: int) -> int:
        if number >= self.total:
            raise IndexError
        self.taken += 1
        return number
