"""One study through the stages; a stream of studies, overlapped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from cspine.answer import answered, levels, refusal
from cspine.backends import Array, Backend, open_backend, open_engine
from cspine.bundle import Bundle
from cspine.dicom.select import Readable
from cspine.engines.store import find_engine
from cspine.findings import Identity, Refused, Source
from cspine.image import Image
from cspine.outcome import Clock, Outcome, View
from cspine.precision import Choice
from cspine.session import Session
from cspine.spec import Classify, Explain, Levels, PipelineSpec, Segment, Sign
from cspine.stages.classify import classify_feeds, crop_map, probabilities
from cspine.stages.explain import activation_maps
from cspine.stages.frame import frame_feeds, frame_map, same_frame
from cspine.stages.levels import find_spine
from cspine.stages.screen import present_signs, refuse, withheld
from cspine.stages.segment import label_map
from cspine.transform import zoom


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
        self._screen = spec.screen
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
                _backend(bundle, stage.id, choice, threads=threads),
            )
            for stage in bundle.spec.networks
        }
        identity = Identity(
            pipeline=bundle.spec.name,
            bundle=bundle.digest,
            backend=choice.backend,
            precision=choice.precision,
            target=choice.target,
        )
        return cls(bundle.spec, sessions=sessions, identity=identity)

    def run(self, study: Readable) -> Outcome:
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
        return self._answer(lambda: study.source, lambda: self._read(study, clock), clock)

    def run_image(self, image: Image) -> Outcome:
        """Judge an image that was decoded elsewhere; nothing asks its header."""
        return self._answer(lambda: image.source, lambda: image, Clock())

    def stream(self, studies: Iterable[Readable], *, ahead: int = 1) -> Iterator[Outcome]:
        """Judge studies in order, decoding the next ones while this one is inferred.

        At most ``ahead`` decoded images wait; leaving the iterator early cancels the rest.
        """
        with ThreadPoolExecutor(max_workers=1) as reader:
            waiting: deque[tuple[Readable, Future[Image], Clock]] = deque()
            try:
                for upcoming in studies:
                    clock = Clock()
                    waiting.append((upcoming, reader.submit(self._read, upcoming, clock), clock))
                    if len(waiting) > ahead:
                        yield self._next(waiting)
                while waiting:
                    yield self._next(waiting)
            finally:
                for _, image, _ in waiting:
                    image.cancel()

    def _next(self, waiting: deque[tuple[Readable, Future[Image], Clock]]) -> Outcome:
        study, image, clock = waiting.popleft()
        return self._answer(lambda: study.source, image.result, clock)

    def close(self) -> None:
        """Release the models; closing twice is allowed."""
        for session in self._sessions.values():
            session.close()

    def _read(self, study: Readable, clock: Clock) -> Image:
        with clock.part("read"):
            return study.image(self.spec.accept)

    def _answer(
        self, source: Callable[[], Source | None], image: Callable[[], Image], clock: Clock
    ) -> Outcome:
        """Judge an image, or turn the refusal met on the way into the answer."""
        try:
            return self._judge(image(), clock)
        except Refused as refused:
            findings = refusal(
                refused, source(), identity=self.identity, threshold=self._classify.threshold
            )
            return Outcome(findings, None, {}, clock.parts)

    def _judge(self, image: Image, clock: Clock) -> Outcome:
        segment, classify = self._segment, self._classify
        with clock.part("prepare"):
            to_image = frame_map(image, segment)
            feeds = frame_feeds(image, to_image, segment)
        signs = self._screened(image, feeds, clock)
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
            ).without(withheld(signs, self._levels.vertebrae))
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
        findings = answered(
            image,
            spine,
            spine.vertebrae(from_mm),
            levels(spine, crops, probabilities(outputs), stage=classify),
            identity=self.identity,
            threshold=classify.threshold,
        )
        logits = dict(zip(spine.names, outputs["logits"][:, 0].tolist(), strict=True))
        view = View(self.spec.title, image, labels, to_image, crops, classify.size_px, heat)
        return Outcome(findings, view, logits, clock.parts)

    def _screened(
        self, image: Image, segment_feeds: Mapping[str, Array], clock: Clock
    ) -> tuple[Sign, ...]:
        """Return the signs that only withhold levels; any other refuses the study."""
        screen = self._screen
        if screen is None:
            return ()
        feeds = segment_feeds
        if not same_frame(screen, self._segment):
            with clock.part("prepare"):
                feeds = frame_feeds(image, frame_map(image, screen), screen)
        with clock.part(screen.id):
            signs = present_signs(self._sessions[screen.id].run(feeds), screen)
            refuse(signs)
            return signs


def _backend(bundle: Bundle, stage: str, choice: Choice, *, threads: int | None) -> Backend:
    """Load the bundle's graph, or the engine that was built of it for this device."""
    if choice.backend != "tensorrt":
        model = bundle.model(stage, target=choice.target)
        return open_backend(choice.backend, model, threads=threads)
    plan, made = find_engine(bundle=bundle.digest, stage=stage, precision=choice.precision)
    return open_engine(plan, host_code=made.host_code)
