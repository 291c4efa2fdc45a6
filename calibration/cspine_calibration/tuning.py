"""The tables of a bundle, tuned on studies that calibrated nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cspine.backends import Array, Backend, open_backend
from cspine.backends.recorder import Recorder
from cspine.bundle import Bundle
from cspine.errors import ModelError
from cspine.findings import Identity
from cspine.pipeline import Pipeline
from cspine.session import Session
from cspine_bench.cases import CaseSet, study_digest
from cspine_calibration.table import CalibrationTable
from cspine_calibration.tune_ranges import tuned

# Each trial runs all of them, and they are held in memory.
MOST_STUDIES = 16


def tune(
    bundle: Bundle,
    tables: Mapping[str, CalibrationTable],
    cases: CaseSet,
    *,
    threads: int | None,
    progress: Callable[[int, int], None],
) -> tuple[dict[str, CalibrationTable], tuple[str, ...]]:
    """Return the tables with the estimator of each tensor, and the digests of the studies used.

    The first :data:`MOST_STUDIES` cases are used, each network seeing of them what it will see on a
    device. Of a network that runs several times for a study, as for each slice, the middle run is
    taken.

    Raises
    ------
    ModelError
        If no study reaches a network.
    """
    recorders = {
        stage.id: Recorder(open_backend("onnxruntime", bundle.model(stage.id), threads=threads))
        for stage in bundle.spec.networks
    }
    pipeline = fp32_pipeline(bundle, recorders)
    digests: list[str] = []
    feeds: dict[str, list[Mapping[str, Array]]] = {name: [] for name in recorders}
    for case in cases.cases[:MOST_STUDIES]:
        study = case.read()
        pipeline.run(study)
        digests.append(study_digest(study))
        for name, recorder in recorders.items():
            feeds[name] += recorder.feeds[len(recorder.feeds) // 2 :][:1]
            recorder.feeds.clear()
    pipeline.close()
    found: dict[str, CalibrationTable] = {}
    for name, seen in feeds.items():
        if not seen:
            raise ModelError(
                f"stage {name!r}: no study of split 'tuning' reaches it, so nothing can be tuned"
            )
        found[name] = tuned(
            bundle.model(name),
            tables[name],
            seen,
            keep_float=bundle.spec.keep_float.get(name, ()),
            threads=threads,
            progress=progress,
        )
    return found, tuple(digests)


def fp32_pipeline(bundle: Bundle, backends: Mapping[str, Backend]) -> Pipeline:
    """Return a bundle's pipeline over backends that compute its networks in FP32."""
    return Pipeline(
        bundle.spec,
        sessions={name: Session(name, backend) for name, backend in backends.items()},
        identity=Identity(
            pipeline=bundle.spec.name,
            bundle=bundle.digest,
            backend="onnxruntime",
            precision="fp32",
            target=None,
        ),
    )
