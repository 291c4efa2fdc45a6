"""One study through the stages; a stream of studies, overlapped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter_ns

from cspine.backends import Array, open_backend
from cspine.bundle import Bundle
from cspine.dicom.read import read_image
from cspine.dicom.select import Study, select
from cspine.engines import find_engine
from cspine.findings import Findings, Identity, Level, Refused, Source
from cspine.image import Image
from cspine.precision import Choice
from cspine.session import Session
from cspine.spec import Classify, Explain, Levels, PipelineSpec, Segment
from cspine.stages.classify import classify_feeds, crop_corners, crop_map, probabilities
from cspine.stages.explain import activation_maps
from cspine.stages.levels import Disc, Spine, find_spine, rounded
from cspine.stages.segment import label_map, segment_feeds, segment_frame
from cspine.transform import Affine, Floats, zoom


@dataclass(frozen=True)
class View:
    """What a picture of the findings needs beside them.

    Attributes
    ----------
    image
        The radiograph.
    labels, labels_to_image
        The localiser's label map and the map from its pixels to the image's.
    crops
        Per answered level the map from its crop's pixels to the image's.
    crop_px
        (rows, columns) of a crop.
    heat
        Class activation maps, shape (levels, rows, columns), in logits, one per crop.
    """

    image: Image
    labels: Array
    labels_to_image: Affine
    crops: tuple[Affine, ...]
    crop_px: tuple[int, int]
    heat: Floats


@dataclass
class Clock:
    """Nanoseconds per part of one study; kept apart from the findings, which hold no time."""

    parts: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time spent inside to a part."""
        start = perf_counter_ns()
        try:
            yield
        finally:
            self.parts[name] = self.parts.get(name, 0) + perf_counter_ns() - start


@dataclass(frozen=True)
class Outcome:
    """The answer to one study; ``view`` is ``None`` where it was refused."""

    findings: Findings
    view: View | None
    nanoseconds: Mapping[str, int]


class Pipeline:
    """A bundle's models on one backend, ready for many studies and threads.

    Parameters
    ----------
    spec
        The pipeline file.
    sessions
        One per network stage, by stage id; owned by the pipeline from here on.
    identity
        What every answer says it came from.
    """

    def __init__(
        self, spec: PipelineSpec, *, sessions: Mapping[str, Session], identity: Identity
    ) -> None:
        self.spec = spec
        self.identity = identity
        self._sessions = sessions
        self._segment: Segment = spec.only(Segment)
        self._levels: Levels = spec.only(Levels)
        self._classify: Classify = spec.only(Classify)
        self._explain: Explain = spec.only(Explain)

    @classmethod
    def open(cls, bundle: Bundle, choice: Choice, *, threads: int | None = None) -> Pipeline:
        """Load every model of a bundle into the backend and precision that were chosen."""
        sessions = {
            stage.id: Session(
                stage.id,
                open_backend(choice.backend, _model(bundle, stage.id, choice), threads=threads),
            )
            for stage in bundle.spec.networks
        }
        identity = Identity(
            pipeline=bundle.spec.name,
            bundle=bundle.digest,
            backend=choice.backend,
            precision=choice.precision,
        )
        return cls(bundle.spec, sessions=sessions, identity=identity)

    def run(self, study: Study) -> Outcome:
        """Judge one study.

        Returns
        -------
        Outcome
            Findings, or a refusal: which of the two is an answer, never an exception.

        Raises
        ------
        BackendError
            If a model fails.
        """
        clock = Clock()
        return self._answer(study.source, lambda: self._read(study, clock), clock)

    def run_image(self, image: Image) -> Outcome:
        """Judge an image that was decoded elsewhere; nothing asks its header."""
        return self._answer(image.source, lambda: image, Clock())

    def stream(self, studies: Iterable[Study], *, ahead: int = 1) -> Iterator[Outcome]:
        """Judge studies in order, decoding the next ones while this one is inferred.

        At most ``ahead`` decoded images wait; leaving the iterator early cancels the rest.
        """
        with ThreadPoolExecutor(max_workers=1) as reader:
            waiting: deque[tuple[Study, Future[Image], Clock]] = deque()
            try:
                for upcoming in studies:
                    clock = Clock()
                    waiting.append((upcoming, reader.submit(self._read, upcoming, clock), clock))
                    if len(waiting) > ahead:
                        study, image, clock = waiting.popleft()
                        yield self._answer(study.source, image.result, clock)
                while waiting:
                    study, image, clock = waiting.popleft()
                    yield self._answer(study.source, image.result, clock)
            finally:
                for _, image, _ in waiting:
                    image.cancel()

    def close(self) -> None:
        """Release the models; closing twice is allowed."""
        for session in self._sessions.values():
            session.close()

    def _read(self, study: Study, clock: Clock) -> Image:
        with clock.part("read"):
            selection = select(study, self.spec.accept)
            return replace(read_image(selection.dataset), notes=selection.notes)

    def _answer(self, source: Source | None, image: Callable[[], Image], clock: Clock) -> Outcome:
        """Judge an image, or turn the refusal met on the way into the answer."""
        try:
            findings, view = self._judge(image(), clock)
        except Refused as refused:
            return Outcome(self._refusal(refused, source), None, clock.parts)
        return Outcome(findings, view, clock.parts)

    def _judge(self, image: Image, clock: Clock) -> tuple[Findings, View]:
        segment, classify = self._segment, self._classify
        with clock.part("prepare"):
            to_image = segment_frame(image, segment)
            feeds = segment_feeds(image, to_image, segment)
        with clock.part(segment.id):
            outputs = self._sessions[segment.id].run(feeds)
        with clock.part(self._levels.id):
            labels = label_map(outputs)
            spine = find_spine(
                labels,
                names=segment.labels,
                spacing_mm=segment.spacing_mm,
                stage=self._levels,
                facing=image.facing,
            )
        with clock.part("crop"):
            from_mm = to_image @ zoom(1 / segment.spacing_mm)
            crops = tuple(
                from_mm @ crop_map(disc, facing=spine.facing, stage=classify)
                for disc in spine.discs
            )
            feeds = classify_feeds(image, crops, classify)
        with clock.part(classify.id):
            outputs = self._sessions[classify.id].run(feeds)
        with clock.part(self._explain.id):
            heat = activation_maps(outputs)
        findings = self._findings(image, spine, crops, probabilities(outputs), from_mm)
        return findings, View(image, labels, to_image, crops, classify.size_px, heat)

    def _findings(
        self,
        image: Image,
        spine: Spine,
        crops: Sequence[Affine],
        scores: Floats,
        from_mm: Affine,
    ) -> Findings:
        return Findings(
            status="partial" if spine.withheld else "answered",
            refusal=None,
            source=image.source,
            identity=self.identity,
            spacing=image.spacing,
            facing=spine.facing,
            threshold=self._classify.threshold,
            vertebrae=spine.vertebrae(from_mm),
            levels=tuple(
                self._level(disc, crop, float(score))
                for disc, crop, score in zip(spine.discs, crops, scores, strict=True)
            ),
            withheld=spine.withheld,
            notes=image.notes,
        )

    def _level(self, disc: Disc, crop: Affine, score: float) -> Level:
        stage = self._classify
        a, b, c, d = (rounded(point) for point in crop_corners(crop, stage.size_px))
        positive = score >= stage.threshold
        return Level(
            label=disc.label,
            probability=round(score, 4),
            positive=positive,
            decision=stage.positive if positive else stage.negative,
            box_px=(a, b, c, d),
        )

    def _refusal(self, refused: Refused, source: Source | None) -> Findings:
        return Findings(
            status="refused",
            refusal=refused.refusal,
            source=source,
            identity=self.identity,
            spacing=None,
            facing=None,
            threshold=self._classify.threshold,
            vertebrae=(),
            levels=(),
            withheld=(),
            notes=(),
        )


def _model(bundle: Bundle, stage: str, choice: Choice) -> bytes:
    """Return what a backend loads: the bundle's graph, or the engine this device built of it."""
    if choice.backend == "tensorrt":
        return find_engine(bundle=bundle.digest, stage=stage, precision=choice.precision)
    return bundle.model(stage, target=choice.target)
