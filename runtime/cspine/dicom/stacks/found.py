"""What the series of one modality hold, and how it is told; nothing of the patient is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from cspine.dicom.element import uid
from cspine.dicom.identity import Instance
from cspine.dicom.stacks.candidate import Candidate, candidates
from cspine.dicom.stacks.frames import Frame, Unfit, frames_of, modality_of
from cspine.dicom.stacks.rank import rank_of
from cspine.dicom.stacks.wanted import WantedSeries

MOST_TOLD = 12  # kinds of stacks in one sentence


@dataclass(frozen=True)
class Found:
    """What the series of the wanted modality hold.

    Attributes
    ----------
    series
        How many of them there are.
    others
        How many objects of the study are no images of that modality.
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


def find_stacks(instances: list[Instance], wanted: WantedSeries) -> Found:
    """Part the series of the wanted modality into stacks, by their headers alone."""
    series: dict[str, list[Instance]] = {}
    for instance in instances:
        if modality_of(instance.dataset) == wanted.modality:
            # Without a valid UID nothing tells what it belongs to.
            key = uid(instance.dataset, "SeriesInstanceUID") or f"of {instance.name}"
            series.setdefault(key, []).append(instance)
    stacks: list[Candidate] = []
    unfit: Counter[str] = Counter()
    for group in series.values():
        frames: list[Frame] = []
        for each in (frame for instance in group for frame in frames_of(instance, wanted.modality)):
            if isinstance(each, Unfit):
                unfit[each.what] += 1
            else:
                frames.append(each)
        stacks += candidates(frames)
    others = len(instances) - sum(map(len, series.values()))
    stacks.sort(key=lambda each: rank_of(each, wanted))
    return Found(len(series), others, tuple(stacks), unfit)
