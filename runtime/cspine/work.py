"""One image on its way through the stages of a pipeline: what each leaves for those after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cspine.backends import Array
from cspine.detection.faster_rcnn import NONE, Detections, detected, proposed
from cspine.image import Floats, Image
from cspine.outcome import Clock, Labelled
from cspine.session import Session
from cspine.spec import (
    Axial,
    Classify,
    Cord,
    Detect,
    Explain,
    Features,
    Framed,
    Grade,
    Landmarks,
    Levels,
    Measure,
    Network,
    Ratio,
    Screen,
    Segment,
    Sign,
    Slices,
    Stage,
    Worst,
)
from cspine.stages.axial import Cuts, find_cuts
from cspine.stages.classify import classify_feeds, crop_corners, crop_map, probabilities
from cspine.stages.cord import Cords, cord_feeds, cord_map, place_cords
from cspine.stages.detect import Featured, Region, found_regions, region_of
from cspine.stages.explain import activation_maps
from cspine.stages.frame import frame_feeds, frame_map, same_frame
from cspine.stages.grade import Crop, Graded, grade_feeds, region_crop
from cspine.stages.landmarks import Placed, place
from cspine.stages.levels import Spine, find_spine
from cspine.stages.measure import Measured, measure
from cspine.stages.ratio import Compressed, compression
from cspine.stages.screen import present_signs, refuse, withheld
from cspine.stages.segment import label_map
from cspine.stages.slices import slice_feeds, slice_maps, study_logit
from cspine.stages.worst import Worsts, find_worst
from cspine.transform import Affine, zoom

Feeds = Mapping[str, Array]


@dataclass(frozen=True)
class Levelled:
    """The spine of a label map, and the map from its millimetres to the image's pixels."""

    spine: Spine
    from_mm: Affine


@dataclass(frozen=True)
class Classified:
    """Per level of a spine its crop's map to the image, its score, and what the network gave."""

    spine: Spine
    crops: tuple[Affine, ...]
    scores: Floats
    outputs: Feeds
    stage: Classify

    @property
    def logits(self) -> dict[str, float]:
        """The raw score of each level, which findings round and squash."""
        return dict(zip(self.spine.names, self.outputs["logits"][:, 0].tolist(), strict=True))


@dataclass(frozen=True)
class Sliced:
    """Per slice the map from its frame to its pixels, the study's logit, and the raw outputs."""

    maps: tuple[Affine, ...]
    logit: float
    outputs: Feeds
    stage: Slices

    @property
    def logits(self) -> dict[str, float]:
        """The raw score of the study, which findings round and squash."""
        return {self.stage.question: self.logit}


@dataclass
class Work:
    """What is known of one film, or of slices, so far.

    Attributes
    ----------
    images
        The one that a picture shows first: a film; or the slice in the middle and then those about
        it, the nearest first; or a sagittal slice and then axial ones.
    products
        What each stage left, by its id, in the order of the stages.
    signs
        What a screen saw that hides a part of the spine.
    """

    images: Sequence[Image]
    sessions: Mapping[str, Session]
    clock: Clock
    products: dict[str, Any] = field(default_factory=dict)
    signs: tuple[Sign, ...] = ()
    _frame: tuple[Framed, Affine, Feeds] | None = None

    @property
    def image(self) -> Image:
        """The film, or the slice in the middle."""
        return self.images[0]

    def do(self, stage: Stage) -> None:
        """Run one stage and keep what it leaves.

        Raises
        ------
        Refused
            If the stage refuses the image.
        BackendError
            If its model fails.
        """
        self.products[stage.id] = _STEPS[type(stage)](stage, self)

    def frame(self, stage: Framed) -> tuple[Affine, Feeds]:
        """Return the frame of a network: its map to the image, and its feeds.

        Networks that look at the same frame share it.
        """
        if self._frame is None or not same_frame(self._frame[0], stage):
            with self.clock.part("prepare"):
                to_image = frame_map(self.image, stage)
                self._frame = stage, to_image, frame_feeds(self.image, to_image, stage)
        return self._frame[1], self._frame[2]

    def infer(self, stage: Network, feeds: Feeds) -> Feeds:
        """Run the network of a stage."""
        with self.clock.part(stage.id):
            return self.sessions[stage.id].run(feeds)


def _screen(stage: Screen, work: Work) -> tuple[Sign, ...]:
    """Refuse what is not fit to be judged; what only hides a part is kept."""
    _, feeds = work.frame(stage)
    work.signs = present_signs(work.infer(stage, feeds), stage)
    refuse(work.signs)
    return work.signs


def _segment(stage: Segment, work: Work) -> Labelled:
    to_image, feeds = work.frame(stage)
    outputs = work.infer(stage, feeds)
    with work.clock.part("label"):
        return Labelled(label_map(outputs), to_image, stage)


def _levels(stage: Levels, work: Work) -> Levelled:
    seen: Labelled = work.products[stage.masks_from]
    with work.clock.part(stage.id):
        spine = find_spine(
            seen.labels,
            names=seen.stage.labels,
            spacing_mm=seen.stage.spacing_mm,
            stage=stage,
            facing=work.image.facing,
        ).without(withheld(work.signs, stage.vertebrae))
    return Levelled(spine, seen.to_image @ zoom(1 / seen.stage.spacing_mm))


def _level_crops(found: Levelled, stage: Classify | Grade) -> tuple[Affine, ...]:
    """Return per level of a spine the map from its crop's pixels to the image's."""
    return tuple(
        found.from_mm @ crop_map(disc, facing=found.spine.facing, stage=stage)
        for disc in found.spine.discs
    )


def _classify(stage: Classify, work: Work) -> Classified:
    found: Levelled = work.products[stage.crops_from]
    with work.clock.part("crop"):
        crops = _level_crops(found, stage)
        feeds = classify_feeds(work.image, crops, stage)
    outputs = work.infer(stage, feeds)
    return Classified(found.spine, crops, probabilities(outputs), outputs, stage)


def _slices(stage: Slices, work: Work) -> Sliced:
    with work.clock.part("prepare"):
        maps = slice_maps(work.images, stage)
        feeds = slice_feeds(work.images, maps, stage)
    outputs = work.infer(stage, feeds)
    return Sliced(maps, study_logit(outputs, stage), outputs, stage)


def _features(stage: Features, work: Work) -> Featured:
    """Run the first network slice by slice, so that memory for maps is all that a stack takes."""
    with work.clock.part("prepare"):
        maps = slice_maps(work.images, stage)
        feeds = [
            frame_feeds(image, to_image, stage)
            for image, to_image in zip(work.images, maps, strict=True)
        ]
    return Featured(maps, tuple(work.infer(stage, each) for each in feeds), stage)


def _detect(stage: Detect, work: Work) -> tuple[Region, ...]:
    featured: Featured = work.products[stage.features_from]
    return found_regions(
        [
            region_of(_detections(stage, featured, at, work), to_image, image=at)
            for at, to_image in enumerate(featured.maps)
        ]
    )


def _detections(stage: Detect, featured: Featured, at: int, work: Work) -> Detections:
    """Return what the second network detects on one slice."""
    numbers = stage.detector(featured.stage)
    with work.clock.part("propose"):
        (found,) = proposed(featured.outputs[at], numbers, images=1, stage=featured.stage.id)
    if not len(found.boxes):  # a network cannot be asked about nothing
        return NONE
    outputs = work.infer(stage, {"regions": found.regions})
    with work.clock.part("select"):
        return detected(found.boxes, outputs, numbers, stage=stage.id)


def _grade(stage: Grade, work: Work) -> Graded:
    found: Levelled | tuple[Region, ...] = work.products[stage.crops_from]
    with work.clock.part("crop"):
        if isinstance(found, Levelled):
            labels = found.spine.names
            crops = tuple(
                Crop(0, to_image, crop_corners(to_image, stage.size_px))
                for to_image in _level_crops(found, stage)
            )
        else:
            labels = ()
            crops = tuple(region_crop(each, work.images[each.image], stage) for each in found)
        feeds = grade_feeds(work.images, crops, stage)
    return Graded(crops, labels, work.infer(stage, feeds), stage)


def _worst(stage: Worst, work: Work) -> Worsts:
    graded: Graded = work.products[stage.grades_from]
    with work.clock.part(stage.id):
        return find_worst(graded, work.images, stage)


def _explain(stage: Explain, work: Work) -> Floats:
    looked: Classified | Sliced | Graded = work.products[stage.map_from]
    with work.clock.part(stage.id):
        return activation_maps(looked.outputs)


def _landmarks(stage: Landmarks, work: Work) -> Placed:
    to_image, feeds = work.frame(stage)
    outputs = work.infer(stage, feeds)
    with work.clock.part("place"):
        return place(outputs, to_image, stage)


def _measure(stage: Measure, work: Work) -> Measured:
    placed: Placed = work.products[stage.points_from]
    with work.clock.part(stage.id):
        return measure(placed, work.image, signs=work.signs, stage=stage)


def _axial(stage: Axial, work: Work) -> Cuts:
    found: Levelled = work.products[stage.levels_from]
    with work.clock.part(stage.id):
        return find_cuts(found.spine, found.from_mm, work.images, stage)


def _cord(stage: Cord, work: Work) -> Cords:
    cuts: Cuts = work.products[stage.slices_from]
    if not cuts.found:
        return Cords(cuts, ())
    with work.clock.part("prepare"):
        maps = [cord_map(cut, work.images[cut.image], stage) for cut in cuts.found]
        feeds = cord_feeds(work.images, cuts.found, maps, stage)
    outputs = work.infer(stage, feeds)
    with work.clock.part("place"):
        return Cords(cuts, place_cords(outputs, maps, stage))


def _ratio(stage: Ratio, work: Work) -> Compressed:
    cords: Cords = work.products[stage.points_from]
    with work.clock.part(stage.id):
        return compression(cords, work.images, stage)


_STEPS: Mapping[type[Stage], Callable[[Any, Work], Any]] = {
    Screen: _screen,
    Segment: _segment,
    Levels: _levels,
    Classify: _classify,
    Explain: _explain,
    Landmarks: _landmarks,
    Measure: _measure,
    Slices: _slices,
    Axial: _axial,
    Cord: _cord,
    Ratio: _ratio,
    Features: _features,
    Detect: _detect,
    Grade: _grade,
    Worst: _worst,
}
