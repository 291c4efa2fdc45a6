"""One study through the stages; a stream of studies, overlapped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from cspine.answer import answered, logits, refusal, view
from cspine.backends import Backend, open_backend, open_engine
from cspine.bundle import Bundle
from cspine.dicom.select import Readable
from cspine.engines.store import find_engine
from cspine.findings import Identity, Refused, Source
from cspine.image import Image
from cspine.outcome import Clock, Outcome
from cspine.precision import DLA, Choice
from cspine.session import Session
from cspine.spec import PipelineSpec
from cspine.work import Work


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

    def run_images(self, images: Sequence[Image]) -> Outcome:
        """Judge a film that was decoded elsewhere, or slices; nothing asks their headers.

        Parameters
        ----------
        images
            One, or the slice in the middle and then those about it.
        """
        return self._answer(lambda: images[0].source, lambda: images, Clock())

    def stream(self, studies: Iterable[Readable], *, ahead: int = 1) -> Iterator[Outcome]:
        """Judge studies in order, decoding the next ones while this one is inferred.

        At most ``ahead`` decoded images wait; leaving the iterator early cancels the rest.
        """
        with ThreadPoolExecutor(max_workers=1) as reader:
            waiting: deque[tuple[Readable, Future[Sequence[Image]], Clock]] = deque()
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

    def _next(self, waiting: deque[tuple[Readable, Future[Sequence[Image]], Clock]]) -> Outcome:
        study, image, clock = waiting.popleft()
        return self._answer(lambda: study.source, image.result, clock)

    def close(self) -> None:
        """Release the models; closing twice is allowed."""
        for session in self._sessions.values():
            session.close()

    def _read(self, study: Readable, clock: Clock) -> Sequence[Image]:
        with clock.part("read"):
            return study.images(self.spec.accept)

    def _answer(
        self,
        source: Callable[[], Source | None],
        images: Callable[[], Sequence[Image]],
        clock: Clock,
    ) -> Outcome:
        """Judge images, or turn the refusal met on the way into the answer."""
        try:
            return self._judge(images(), clock)
        except Refused as refused:
            findings = refusal(refused, source(), spec=self.spec, identity=self.identity)
            return Outcome(findings, None, {}, clock.parts)

    def _judge(self, images: Sequence[Image], clock: Clock) -> Outcome:
        work = Work(images, self._sessions, clock)
        for stage in self.spec.stage:
            work.do(stage)
        findings = answered(work, spec=self.spec, identity=self.identity)
        return Outcome(findings, view(work, title=self.spec.title), logits(work), clock.parts)


def _backend(bundle: Bundle, stage: str, choice: Choice, *, threads: int | None) -> Backend:
    """Load the bundle's graph, or the engine that was built of it for this device."""
    if choice.backend in ("onnxruntime", "openvino"):
        model = bundle.model(stage, target=choice.target)
        return open_backend(choice.backend, model, threads=threads)
    plan, made = find_engine(
        bundle=bundle.digest,
        stage=stage,
        precision=choice.precision,
        dla=choice.backend == DLA,
    )
    return open_engine(plan, host_code=made.host_code)
