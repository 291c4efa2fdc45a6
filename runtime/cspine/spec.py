"""A pipeline: what it accepts, its stages in order, and its release gate.

:mod:`cspine.pipeline_file` reads one from TOML; units stand in the names of keys.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from cspine.accept import Accept, Stack
from cspine.codes import Code
from cspine.cord import CORD
from cspine.detection.spec import Anchors, DetectorSpec, Predictions, Proposals, Regions
from cspine.fields import (
    Architecture,
    Grey,
    Identifier,
    Positive,
    Probability,
    Size,
    Struct,
)
from cspine.gate import Gate
from cspine.geometry import C0Line, C2Reference, Lines, bodies_of


class Sign(Struct, frozen=True, kw_only=True):
    """One thing that a screen tells, and what follows from it.

    A study with the sign is refused; with ``withholds_from``, the levels at that vertebra and
    below are withheld instead.
    """

    label: str
    code: Code
    threshold: Probability
    reason: str
    remedy: str
    withholds_from: str | None = None


class Screen(Struct, frozen=True, kw_only=True, tag="screen", tag_field="kind"):
    """A network that tells whether the image is fit to be judged, one logit a sign.

    It looks at a frame in the middle of the image. Signs stand in order of precedence: the first
    that is present gives the reason.
    """

    id: Identifier
    size_px: Size
    spacing_mm: Positive
    grey: Grey
    sign: list[Sign]
    architecture: Architecture


class Segment(Struct, frozen=True, kw_only=True, tag="segment", tag_field="kind"):
    """A network that labels every pixel of a frame of fixed size in the middle of the image."""

    id: Identifier
    size_px: Size
    spacing_mm: Positive
    grey: Grey
    labels: list[str]
    architecture: Architecture


class Levels(Struct, frozen=True, kw_only=True, tag="levels", tag_field="kind"):
    """Disc levels between adjacent vertebrae of a label map, or the reason there are none.

    ``anchor_height`` is the least height of the first vertebra along the spine, in median heights
    of the others: C2 carries the odontoid and is told by it.
    """

    id: Identifier
    masks_from: Identifier
    vertebrae: list[str]
    posterior: str
    minimum_area_mm2: Positive
    minimum_pitch_mm: Positive
    maximum_pitch_mm: Positive
    anchor_height: Positive


class Classify(Struct, frozen=True, kw_only=True, tag="classify", tag_field="kind"):
    """A network that judges one spine-aligned crop per level, all levels in one batch."""

    id: Identifier
    crops_from: Identifier
    size_px: Size
    spacing_mm: Positive
    posterior_shift_mm: float
    grey: Grey
    positive: str
    negative: str
    threshold: Probability
    architecture: Architecture


class Explain(Struct, frozen=True, kw_only=True, tag="explain", tag_field="kind"):
    """Where a classifier looked, drawn back onto the image."""

    id: Identifier
    map_from: Identifier


class Landmarks(Struct, frozen=True, kw_only=True, tag="landmarks", tag_field="kind"):
    """A network that places named points in a frame in the middle of the image, a map a point.

    The softmax of a map over all pixels says where the point may be. Its position is the mean
    within ``reach_mm`` of the largest value, its confidence the share that lies there; a point of
    less than ``minimum_confidence`` is not seen.
    """

    id: Identifier
    size_px: Size
    spacing_mm: Positive
    grey: Grey
    points: list[str]
    reach_mm: Positive
    minimum_confidence: Probability
    architecture: Architecture


class Measure(Struct, frozen=True, kw_only=True, tag="measure", tag_field="kind"):
    """The six sagittal parameters of landmarks, or of each the reason that it is withheld.

    What the published definitions leave open is chosen here and stands in every result. A neck
    whose bodies are less or more deep than any, or whose row of bodies bends back on itself, is
    refused. The curvature index and the angle of C2 and C7 contradict each other where their signs
    differ and both are beyond ``contradiction_percent`` and ``contradiction_deg``.
    """

    id: Identifier
    points_from: Identifier
    c0_line: C0Line
    c2_reference: C2Reference
    minimum_depth_mm: Positive
    maximum_depth_mm: Positive
    contradiction_percent: Positive
    contradiction_deg: Positive

    @property
    def lines(self) -> Lines:
        """The lines that are meant."""
        return Lines(c0=self.c0_line, c2=self.c2_reference)


class Slices(Struct, frozen=True, kw_only=True, tag="slices", tag_field="kind"):
    """A network that judges each slice of a stack by a frame in its middle, and one answer of all.

    ``aggregate`` says which logit is that of the study: the mean of the slices', or the largest.
    """

    id: Identifier
    size_px: Size
    spacing_mm: Positive
    grey: Grey
    question: str
    aggregate: Literal["mean", "largest"]
    positive: str
    negative: str
    threshold: Probability
    note: str
    architecture: Architecture


class Features(Struct, frozen=True, kw_only=True, tag="features", tag_field="kind"):
    """The first network of a Faster R-CNN: maps of each slice, and what on them is likely.

    It looks at a frame in the middle of each slice. ``anchors`` are of its maps, in their order.
    """

    id: Identifier
    size_px: Size
    spacing_mm: Positive
    grey: Grey
    anchors: tuple[Anchors, ...]


class Detect(Struct, frozen=True, kw_only=True, tag="detect", tag_field="kind"):
    """The second network of a Faster R-CNN, and the one region of each slice that it is surest of.

    ``architecture`` and the checkpoint are of both networks. A slice on which no region is above
    ``predictions.score_threshold`` has none.
    """

    id: Identifier
    features_from: Identifier
    proposals: Proposals
    regions: Regions
    predictions: Predictions
    architecture: Architecture

    def detector(self, features: Features) -> DetectorSpec:
        """Return all that the two networks do not hold.

        Raises
        ------
        ValueError
            If the numbers of the two stages do not fit together.
        """
        return DetectorSpec(
            size_px=features.size_px,
            anchors=features.anchors,
            proposals=self.proposals,
            regions=self.regions,
            predictions=self.predictions,
        )


class Grade(Struct, frozen=True, kw_only=True, tag="grade", tag_field="kind"):
    """A network that grades one crop per level, or per region found on a slice, all in one batch.

    ``classes`` stand in order of severity, one logit each. Those named in ``positive`` count as
    positive: ``threshold`` is of the sum of their probabilities. A crop lies ``posterior_shift_mm``
    behind the centre of the disc or, on a slice, down the image from that of the region.
    """

    id: Identifier
    crops_from: Identifier
    size_px: Size
    spacing_mm: Positive
    posterior_shift_mm: float
    grey: Grey
    classes: list[str]
    positive: list[str]
    threshold: Probability
    architecture: Architecture

    @property
    def negative(self) -> list[str]:
        """The classes that do not count as positive."""
        return [label for label in self.classes if label not in self.positive]


class Worst(Struct, frozen=True, kw_only=True, tag="worst", tag_field="kind"):
    """One answer for a stack of graded slices: what ``adjacent`` neighbours say where it is worst.

    With less than ``minimum_slices`` graded slices a study is refused.
    """

    id: Identifier
    grades_from: Identifier
    question: str
    adjacent: Annotated[int, msgspec.Meta(ge=1, le=16)]
    minimum_slices: Annotated[int, msgspec.Meta(ge=1, le=64)]
    positive: str
    negative: str
    note: str


class Axial(Struct, frozen=True, kw_only=True, tag="axial", tag_field="kind"):
    """For each disc level the axial slice through it, if one lies there.

    The spinal canal is looked for ``canal_mm`` behind the middle of the disc.
    """

    id: Identifier
    levels_from: Identifier
    canal_mm: Positive


class Cord(Struct, frozen=True, kw_only=True, tag="cord", tag_field="kind"):
    """A network that places the ends of the cord's two diameters, a map each, on axial slices.

    It looks at a frame about the canal of each level, all levels in one batch. Positions and
    confidence are those of the maps, as of :class:`Landmarks`.
    """

    points: ClassVar[tuple[str, ...]] = CORD

    id: Identifier
    slices_from: Identifier
    size_px: Size
    spacing_mm: Positive
    grey: Grey
    reach_mm: Positive
    minimum_confidence: Probability
    architecture: Architecture


class Ratio(Struct, frozen=True, kw_only=True, tag="ratio", tag_field="kind"):
    """The compression ratio of the cord at each level, or the reason that it is withheld.

    A cord whose diameters are shorter or longer than any is not believed.
    """

    id: Identifier
    points_from: Identifier
    minimum_ap_mm: Positive
    maximum_ap_mm: Positive
    minimum_transverse_mm: Positive
    maximum_transverse_mm: Positive


Stage = (
    Screen | Segment | Levels | Classify | Explain | Landmarks | Measure | Slices
    | Features | Detect | Grade | Worst | Axial | Cord | Ratio
)  # fmt: skip
Network = Screen | Segment | Classify | Landmarks | Slices | Features | Detect | Grade | Cord
Pictured = Screen | Segment | Classify | Landmarks | Slices | Features | Grade | Cord
Trained = Screen | Segment | Classify | Landmarks | Slices | Detect | Grade | Cord
Framed = Screen | Segment | Landmarks | Slices | Features
Classifier = Classify | Slices | Grade
Placing = Landmarks | Cord
Answering = Classify | Measure | Slices | Grade | Ratio
OfFilms = Screen | Segment | Levels | Classify | Explain | Landmarks | Measure | Grade
OfStacks = Slices | Features | Detect | Grade | Worst | Explain
OfTwoStacks = Segment | Levels | Classify | Grade | Explain | Axial | Cord | Ratio


class PipelineSpec(Struct, frozen=True, kw_only=True):
    """One pipeline file.

    ``keep_float`` names by stage the weighted operators of its network that INT8 leaves in float.
    """

    schema: int
    name: Identifier
    title: str
    intended_use: str
    accept: Accept
    stage: list[Stage]
    gate: Gate
    keep_float: dict[Identifier, list[str]] = msgspec.field(default_factory=dict)

    @property
    def networks(self) -> tuple[Network, ...]:
        """The stages that run a model, in order."""
        return tuple(stage for stage in self.stage if isinstance(stage, Network))

    @property
    def vertebrae(self) -> tuple[str, ...]:
        """The vertebrae that the pipeline tells apart, from the head down."""
        for stage in self.stage:
            if isinstance(stage, Levels):
                return tuple(stage.vertebrae)
            if isinstance(stage, Landmarks):
                return bodies_of(stage.points)
        return ()

    def largest_batch(self, stage: Network) -> int:
        """Return how many crops, slices or regions a network is shown at once, at the most."""
        if isinstance(stage, Detect):
            return stage.proposals.after_nms
        if not isinstance(stage, Classifier | Cord):
            return 1
        if isinstance(self.accept, Stack):
            return self.accept.judged_slices
        return len(self.vertebrae) - 1

    @property
    def trainings(self) -> tuple[Trained, ...]:
        """The stages that name an architecture, and that a checkpoint is of, in order."""
        return tuple(stage for stage in self.networks if not isinstance(stage, Features))

    def trained(self, stage: Network) -> Trained:
        """Return the stage that names a network's architecture, and whose checkpoint has it."""
        detect: Detect
        if isinstance(stage, Features):
            detect = self.only(Detect)
            return detect
        return stage

    def detector_of(self, stage: Trained) -> DetectorSpec | None:
        """Return the numbers of a detector; ``None`` of another stage."""
        return stage.detector(self.only(Features)) if isinstance(stage, Detect) else None

    @property
    def threshold(self) -> float | None:
        """What the classifier decides at; ``None`` where nothing is classified."""
        return next((each.threshold for each in self.stage if isinstance(each, Classifier)), None)

    @property
    def screen(self) -> Screen | None:
        """The stage that tells what is fit to be judged; ``None`` if there is none."""
        return next((stage for stage in self.stage if isinstance(stage, Screen)), None)

    def has(self, kind: type[Any]) -> bool:
        """Return whether there is a stage of a kind."""
        return any(isinstance(stage, kind) for stage in self.stage)

    def only(self, kind: type[Any]) -> Any:
        """Return the single stage of a kind."""
        (found,) = (stage for stage in self.stage if isinstance(stage, kind))
        return found


def input_of(stage: Network) -> tuple[str, tuple[int, ...]]:
    """Return the name of a network's input, and the shape of one item of its batch."""
    if isinstance(stage, Detect):
        return "regions", (stage.regions.channels, *stage.regions.size)
    return "image", (1, *stage.size_px)
