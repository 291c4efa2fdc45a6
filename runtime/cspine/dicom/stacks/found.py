"""What the MR series of a study hold, and how it is told; nothing of the patient is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from cspine.dicom.element import uid
from cspine.dicom.identity import Instance
from cspine.dicom.stacks.candidate import Candidate, candidates
from cspine.dicom.stacks.frames import Frame, Unfit, frames_of, is_mr
from cspine.dicom.stacks.rank import rank_of

MOST_TOLD = 12  # kinds of stacks in one sentence


@dataclass(frozen=True)
class Found:
    """What the MR series of a study hold.

    Attributes
    ----------
    series
        How many MR series there are.
    others
        How many objects of the study are no MR images.
    stacks
        All of them, in the order of their rank.
    unfit
        How many frames or objects can be none of a stack, by what they are.
    """

    series: int
    others: int
    stacks: tuple[Candidate, ...]
    unfit: Counter[str]

    def listed(self, told: Iterable[str]) -> str:
        """Return what is told of stacks, alike ones counted, and of what is none."""
        counted = [
            f"{count} x {words}" if count > 1 else words for words, count in Counter(told).items()
        ]
        if more := counted[MOST_TOLD:]:
            counted = [*counted[:MOST_TOLD], f"{len(more)} more kinds"]
        unfit = [f"{what}: {self.unfit[what]}" for what in sorted(self.unfit)]
        return "; ".join([*counted, *unfit])


def find_stacks(instances: list[Instance]) -> Found:
    """Part the MR series among the objects of a study into stacks, by their headers alone."""
    series: dict[str, list[Instance]] = {}
    for instance in instances:
        if is_mr(instance.dataset):
            # Without a valid UID nothing tells what it belongs to.
            key = uid(instance.dataset, "SeriesInstanceUID") or f"of {instance.name}"
            series.setdefault(key, []).append(instance)
    stacks: list[Candidate] = []
    unfit: Counter[str] = Counter()
    for group in series.values():
        frames: list[Frame] = []
        for each in (frame for instance in group for frame in frames_of(instance)):
            if isinstance(each, Unfit):
                unfit[each.what] += 1
            else:
                frames.append(each)
        stacks += candidates(frames)
    others = len(instances) - sum(map(len, series.values()))
    return Found(len(series), others, tuple(sorted(stacks, key=rank_of)), unfit)
