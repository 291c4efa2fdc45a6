"""Calibration of many images: bounded memory, and the same bytes after a power cut."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from cspine.bundle import Bundle, emission_path, fp32_path, table_path
from cspine.errors import ModelError
from cspine_bench.accuracy.verdict import answered_levels
from cspine_bench.cases import read_cases, study_digest
from cspine_calibration import tune_ranges
from cspine_calibration.calibrate import calibrate, emit_targets, read_table
from cspine_calibration.targets import TARGETS
from cspine_phantom.cases import write_cases

OBSERVE = """
import resource, sys
import numpy as np, onnx
from onnx import numpy_helper
from cspine_calibration.observe import Observer

model = onnx.parser.parse_model('''<ir_version: 8, opset_import: ["" : 17]>
g (float[N,4,16,16] x) => (float[N,2,16,16] y) {
  c = Conv<pads = [1, 1, 1, 1]>(x, w)  r = Relu(c)
  d = Conv<pads = [1, 1, 1, 1]>(r, v)  s = Add(d, r)  t = Relu(s)  y = Conv(t, h)
}''')
rng = np.random.default_rng(0)
for name, shape in (("w", (16, 4, 3, 3)), ("v", (16, 16, 3, 3)), ("h", (2, 16, 1, 1))):
    values = rng.normal(size=shape).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(values, name))
observer = Observer(model.SerializeToString(), threads=1)
for _ in range(int(sys.argv[1])):
    observer.run({"x": rng.normal(size=(1, 4, 16, 16)).astype(np.float32)})
data = observer.table(set_digest="0" * 64, preprocessing_digest="1" * 64).to_bytes()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, len(data))
"""

CALIBRATE = """
import sys
from pathlib import Path
from cspine.bundle import Bundle
from cspine_bench.accuracy.verdict import answered_levels
from cspine_bench.cases import read_cases, study_digest
from cspine_calibration import progress
from cspine_calibration.calibrate import calibrate

progress._EVERY_S = 0.0
bundle = Bundle.open(Path(sys.argv[1]))
cases = read_cases(Path(sys.argv[2]), split="calibration", levels=answered_levels(bundle))
calibrate(bundle, cases, threads=1, progress=lambda done, total: print(done, flush=True))
"""


def test_two_thousand_images_take_the_memory_of_two_hundred():
    few, many = (
        int(
            subprocess.run(
                [sys.executable, "-c", OBSERVE, str(count)],
                capture_output=True, text=True, check=True,
            ).stdout.split()[0]
        )
        for count in (200, 2000)
    )  # fmt: skip
    assert many <= 1.1 * few, f"{few} kB for 200 images, {many} kB for 2,000"


def calibration(bundle: Bundle, folder: Path, seen: list[int] | None = None) -> Bundle:
    cases = read_cases(folder, split="calibration", levels=answered_levels(bundle))
    done: list[int] = [] if seen is None else seen
    return calibrate(bundle, cases, threads=1, progress=lambda number, total: done.append(number))


def journal_of(bundle: Bundle) -> Path:
    return bundle.path.with_name(bundle.path.name + ".calibration")


def test_a_killed_calibration_goes_on_and_ends_in_the_same_bytes(bundle, sets, tmp_path):
    whole = Bundle.open(Path(shutil.copytree(bundle.path, tmp_path / "whole.cspine")))
    whole = calibration(whole, sets / "calibration")
    with subprocess.Popen(
        [sys.executable, "-c", CALIBRATE, str(bundle.path), str(sets / "calibration")],
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 7:
                process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert Bundle.open(bundle.path).digest == bundle.digest
    assert journal_of(bundle).exists()
    seen: list[int] = []
    resumed = calibration(Bundle.open(bundle.path), sets / "calibration", seen)
    assert 7 <= seen[0] <= 8
    assert seen[-1] == 16
    assert resumed.digest == whole.digest
    assert not journal_of(bundle).exists()


def test_what_was_begun_for_another_set_is_begun_anew(bundle, sets, tmp_path):
    journal_of(bundle).write_bytes(b"0" * 64 + b"something else")
    shutil.copytree(sets / "calibration", tmp_path / "set")
    lines = (tmp_path / "set" / "cases.csv").read_text().splitlines(keepends=True)
    (tmp_path / "set" / "cases.csv").write_text("".join(lines[:2]))
    seen: list[int] = []
    calibrated = calibration(bundle, tmp_path / "set", seen)
    assert seen == [1]
    # One image is few, and the table says how many.
    facts = calibrated.manifest.provenance[table_path("localise")]
    assert (facts["cases"], facts["samples"]) == (1, 1)
    # The same table emits every target without the data.
    shutil.rmtree(tmp_path / "set")
    emitted = emit_targets(calibrated, tuple(TARGETS), estimator="minmax", precision="int8")
    assert set(emitted.targets) == set(TARGETS)
    assert not [path.name for path in bundle.path.parent.iterdir() if "calibration" in path.name]


def test_one_image_is_said_to_be_one(bundle, sets, tmp_path, invoke):
    shutil.copytree(sets / "calibration", tmp_path / "set")
    lines = (tmp_path / "set" / "cases.csv").read_text().splitlines(keepends=True)
    (tmp_path / "set" / "cases.csv").write_text("".join(lines[:2]))
    done = invoke(["calibrate", bundle.path, "--set", tmp_path / "set"])
    assert done.exit_code == 0, done.output
    assert re.search(r"localise: \d+ tensors over 1 sample of 1 case\n", done.output)


def without_change(bundle: Bundle) -> None:
    """Nothing was written, not even half."""
    assert Bundle.open(bundle.path).digest == bundle.digest
    assert not journal_of(bundle).exists()


def test_no_images(bundle, tmp_path):
    (tmp_path / "cases.csv").write_text(
        ",".join(["study", "patient", "split", *answered_levels(bundle)]) + "\n"
    )
    with pytest.raises(ModelError, match="no case of split 'calibration'"):
        calibration(bundle, tmp_path)
    without_change(bundle)


def test_another_pipelines_set(bundle, tmp_path):
    (tmp_path / "cases.csv").write_text("study,patient,split,L4/5\na,P,calibration,1\n")
    with pytest.raises(ModelError, match="no column 'C2/3'"):
        calibration(bundle, tmp_path)
    without_change(bundle)


def test_images_that_the_pipeline_refuses(bundle, tmp_path):
    write_cases(tmp_path / "set", patients=1, seed=504, split="calibration", faults=["blank"])
    lines = (tmp_path / "set" / "cases.csv").read_text().splitlines(keepends=True)
    (tmp_path / "set" / "cases.csv").write_text("".join([lines[0], lines[-1]]))
    with pytest.raises(ModelError, match=r"every study of the set is refused \([A-Z_]+ 1\)"):
        calibration(bundle, tmp_path / "set")
    without_change(bundle)


def changed(bundle: Bundle, stage: str, change) -> Bundle:
    model = onnx.load_model_from_string(bundle.model(stage))
    change(model)
    return bundle.extended({fp32_path(stage): model.SerializeToString()}, {})


def test_weights_that_are_not_numbers(bundle, sets):
    def spoil(model):
        tensor = next(t for t in model.graph.initializer if len(t.dims) == 4)
        values = numpy_helper.to_array(tensor).copy()
        values.flat[5] = np.nan
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    spoilt = changed(bundle, "localise", spoil)
    with pytest.raises(ModelError, match="holds NaN or infinity; train or export again"):
        calibration(spoilt, sets / "calibration")
    without_change(spoilt)


def test_a_changed_model_under_an_old_table(bundle):
    def scale(model):
        tensor = next(t for t in model.graph.initializer if len(t.dims) == 4)
        values = numpy_helper.to_array(tensor) * np.float32(1.01)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    other = changed(bundle, "localise", scale)
    with pytest.raises(ModelError, match="calibration table belongs to model"):
        emit_targets(other, tuple(TARGETS), estimator="minmax")
    without_change(other)


def test_tuned_ranges_are_in_the_bundle_and_so_is_what_they_were_tuned_on(
    bundle, sets, tmp_path, invoke, monkeypatch
):
    monkeypatch.setattr(tune_ranges, "MOST_TRIALS", 2)
    shutil.copytree(sets / "calibration", tmp_path / "set")
    lines = (tmp_path / "set" / "cases.csv").read_text().splitlines(keepends=True)
    command = ["calibrate", bundle.path, "--set", tmp_path / "set", "--estimator", "tuned"]
    (tmp_path / "set" / "cases.csv").write_text("".join(lines[:3]))
    with pytest.raises(ModelError, match="no case of split 'tuning'"):
        invoke(command)
    without_change(bundle)
    tuning = lines[2].replace(",calibration,", ",tuning,")
    (tmp_path / "set" / "cases.csv").write_text("".join([*lines[:2], tuning]))
    done = invoke(command)
    assert done.exit_code == 0, done.output
    tuned = Bundle.open(bundle.path)
    levels = answered_levels(tuned)
    (case,) = read_cases(tmp_path / "set", split="tuning", levels=levels).cases
    for name in (table_path("classify"), emission_path("classify", "trt")):
        facts = tuned.manifest.provenance[name]
        assert facts["tuned_on"] == [study_digest(case.read())]
        assert facts["tuned_on"] != facts["studies"]
    for stage in tuned.spec.networks:
        assert set(read_table(tuned, stage).choices) == {"asymmetric", "symmetric"}
    # Without the data, for any target.
    shutil.rmtree(tmp_path / "set")
    again = invoke(["emit", bundle.path, "--target", "openvino", "--estimator", "tuned"])
    assert again.exit_code == 0, again.output
    assert Bundle.open(bundle.path).digest == tuned.digest
