"""A function over many jobs, on all cores."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

import cv2

Job = TypeVar("Job")
Result = TypeVar("Result")

FEW = 4
"""So many jobs are done sooner than processes start."""

AHEAD = 4
"""Jobs a process that may be under way or done before the caller takes the first of them."""


def spread(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Result]:
    """Yield ``function(job)`` of every job, in the order of the jobs.

    No more than `AHEAD` results a core wait for the caller, whatever the number of jobs. What is
    yielded does not depend on the number of cores if `function` depends on its job alone.

    Parameters
    ----------
    function
        Importable by name, for it runs in processes of its own unless the jobs are few; results
        are pickled.
    progress
        Called with the number of results and that of jobs when the caller asks for the next.

    Raises
    ------
    Exception
        Whatever `function` raises, at the place of its job.
    """
    results = map(function, jobs) if len(jobs) <= FEW else _ahead(function, jobs)
    for number, result in enumerate(results, 1):
        yield result
        if progress:
            progress(number, len(jobs))


def _ahead(function: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[Result]:
    cores = os.cpu_count() or 1
    # Spawned: a fork of a process with threads, such as PyTorch's, may wait for ever.
    with ProcessPoolExecutor(
        cores, get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)
    ) as pool:
        waiting: deque[Future[Result]] = deque()
        for job in jobs:
            waiting.append(pool.submit(function, job))
            if len(waiting) == AHEAD * cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
