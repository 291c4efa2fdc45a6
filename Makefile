# make demo    the main job on DICOM studies, after one-time set-up
# make test    all tests
# make check   ruff, mypy, and the runtime's tests on the oldest and newest Python found here
# make bench   latency of INT8 against FP32 and of single stages, as records
# make verify  the locked tests, each pipeline on every CPU backend, as records: 300 patients and
#              170 unfit films; 800 patients and 200 unfit studies of MR (11 GB), as many of CT
# make admission  how well simulated films with every fault are told, as a record
# make audit   noise, contrast and greys of 400 phantoms, and what does not tell their labels
# make validate-statistics  how often both gates err, and whether intervals hold, by simulation
# make live    the latency gate shown slowed stages on this machine, as a record
# make zoo     the published sizes, with timm and torchvision, in an environment of their own
# make bench-int8  our INT8 of the published networks against other tools', in that environment
# make fuzz    ten thousand damaged files through the isolated reader, as a record
# make device  the demo's bundle on this machine's NVIDIA GPU, as a record
# make lean    the device's wheel in an empty environment: no extras, `cspine run` and `verify` work
# make offline a wheelhouse made here, installed twice and run where there is no network
# make test-aarch64  the board's wheels, emulated, give the answers of this machine
# make train   the reference checkpoints anew, from simulated studies
# make lock    the locked versions anew

PYTHON ?= python3
VENV ?= .venv
ZOO ?= .venv-zoo
DEVICE ?= .venv-device
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Pip's own words are of use only when something fails.
QUIET ?= --quiet

TORCH := torch==2.13.0
NNCF := nncf==3.4.0
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
# What tells one machine from another of its kind, as in `make bench-int8 MACHINE=-zen5`.
MACHINE ?=
RECORD = $(shell date +%Y-%m-%d)-$(shell uname -m)-$(shell nproc)cpu$(MACHINE)

.PHONY: demo test check bench verify admission audit validate-statistics live fuzz device zoo bench-int8 lean offline test-aarch64 train lock clean

demo: $(READY)
	$(BIN)/cspine demo

# A file of tests stays in one process, so that what it makes is made once.
test: $(READY)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	tests/other_pythons.sh

bench: build/demo/xray.cspine build/sagittal/xray.cspine build/opll/mr.cspine build/ct/ct.cspine \
  build/stenosis/mr.cspine
	tests/latency.sh $(BIN)/cspine build/demo/xray.cspine build/demo/studies/studies \
	  benchmarks/records/$(RECORD)
	tests/latency.sh $(BIN)/cspine build/sagittal/xray.cspine build/sagittal/studies/studies \
	  benchmarks/records/$(RECORD)-xray-sagittal
	tests/latency.sh $(BIN)/cspine build/opll/mr.cspine build/opll/studies/studies \
	  benchmarks/records/$(RECORD)-mr-opll
	tests/latency.sh $(BIN)/cspine build/ct/ct.cspine build/ct/studies/studies \
	  benchmarks/records/$(RECORD)-ct-stenosis
	tests/latency.sh $(BIN)/cspine build/stenosis/mr.cspine build/stenosis/studies/studies \
	  benchmarks/records/$(RECORD)-mr-stenosis
	$(BIN)/cspine phantom reading --record benchmarks/records/$(RECORD)-reading.json
	$(BIN)/python -m pytest tests/bench --benchmark-enable --benchmark-only \
	  --benchmark-json=benchmarks/records/$(RECORD)-stages.json

# A patient of MR gives one answer where a film gives six. Margins of 0.02 on sensitivity and
# specificity take 800: of 400 positive patients INT8 may lose two, and no set of 300 could pass. So
# does the margin of a hundredth of the regions on CT, which lie in patients.
verify: build/demo/xray.cspine build/sagittal/xray.cspine build/opll/mr.cspine build/ct/ct.cspine \
  build/stenosis/mr.cspine
	test -d build/locked || $(BIN)/cspine phantom xray --patients 300 --unfit 10 --header lying \
	  --seed 1001 -o build/locked
	tests/verify.sh $(BIN)/cspine build/demo/xray.cspine build/locked benchmarks/records/xray-compression
	tests/verify.sh $(BIN)/cspine build/sagittal/xray.cspine build/locked benchmarks/records/xray-sagittal
	test -d build/locked-mr || $(BIN)/cspine phantom mr --patients 800 --unfit 40 --seed 4004 \
	  -o build/locked-mr
	tests/verify.sh $(BIN)/cspine build/opll/mr.cspine build/locked-mr benchmarks/records/mr-opll
	test -d build/locked-ct || $(BIN)/cspine phantom ct --patients 800 --unfit 40 --seed 7007 \
	  -o build/locked-ct
	tests/verify.sh $(BIN)/cspine build/ct/ct.cspine build/locked-ct benchmarks/records/ct-stenosis
	test -d build/locked-stenosis || $(BIN)/cspine phantom mr --disease stenosis --patients 300 \
	  --unfit 40 --seed 6006 -o build/locked-stenosis
	tests/verify.sh $(BIN)/cspine build/stenosis/mr.cspine build/locked-stenosis \
	  benchmarks/records/mr-stenosis

admission: build/demo/xray.cspine
	$(BIN)/cspine phantom admission build/demo/xray.cspine --seed 2002 \
	  --record benchmarks/records/$(RECORD)-admission.json

audit: $(READY)
	$(BIN)/cspine phantom audit --patients 400 --seed 3003 --record benchmarks/records/phantoms.json
	$(BIN)/python tests/unit/test_phantom_audit.py

validate-statistics: $(READY)
	$(BIN)/python -m cspine_validation --record benchmarks/records/statistics.json \
	  --latency benchmarks/records/statistics-onnxruntime.json benchmarks/records/statistics-openvino.json
	$(BIN)/python tests/unit/test_validation.py

live: build/demo/xray.cspine
	$(BIN)/python -m cspine_validation.live build/demo/xray.cspine \
	  build/demo/studies/studies/phantom-11-00000 build/demo/studies/studies/phantom-11-00001 \
	  --record benchmarks/records/$(RECORD)-live.json

fuzz: $(READY)
	$(BIN)/python tests/fuzz/run.py --count 10000 --record benchmarks/records/$(RECORD)-fuzz.json

zoo: $(ZOO)/.ready
	$(ZOO)/bin/python -m pytest tests/zoo -m "" --zoo-record benchmarks/records/$(RECORD)-zoo.json
	$(BIN)/python tests/export/test_export_docs.py

bench-int8: $(ZOO)/.ready
	$(ZOO)/bin/python -m pip --disable-pip-version-check install $(QUIET) $(NNCF)
	$(ZOO)/bin/python -m cspine_int8 --record benchmarks/records/$(RECORD)-int8.json \
	  --files build/int8
	$(BIN)/python tests/unit/test_docs_int8.py

device: build/demo/xray.cspine $(DEVICE)/.ready
	$(DEVICE)/bin/python -m pytest tests/device \
	  --device-record benchmarks/records/$(RECORD)-device.json

lean: build/demo/xray.cspine
	tests/lean.sh build/demo

offline: build/demo/xray.cspine
	tests/offline.sh build/demo
	$(BIN)/python -m pytest tests/device -m network

# The second ONNX Runtime is that of Python 3.10, which JetPack 6 has.
test-aarch64: build/demo/xray.cspine
	PYTHON=$(abspath $(BIN)/python) tests/aarch64/run.sh build/demo
	PYTHON=$(abspath $(BIN)/python) tests/aarch64/run.sh build/demo 1.23.2

# Torchvision's losses train the detector of CT.
train: $(READY) $(ZOO)/.ready
	$(BIN)/cspine phantom train xray-compression -o assets/xray-compression
	$(BIN)/cspine phantom train xray-sagittal -o assets/xray-sagittal
	$(BIN)/cspine phantom train mr-opll -o assets/mr-opll
	$(ZOO)/bin/cspine phantom train ct-stenosis -o assets/ct-stenosis
	$(BIN)/cspine phantom train mr-stenosis -o assets/mr-stenosis

build/demo/xray.cspine: $(READY)
	$(BIN)/cspine demo

build/sagittal/xray.cspine: $(READY)
	$(BIN)/cspine demo --pipeline xray-sagittal -o build/sagittal

build/opll/mr.cspine: $(READY)
	$(BIN)/cspine demo --pipeline mr-opll -o build/opll

build/ct/ct.cspine: $(READY)
	$(BIN)/cspine demo --pipeline ct-stenosis -o build/ct

build/stenosis/mr.cspine: $(READY)
	$(BIN)/cspine demo --pipeline mr-stenosis -o build/stenosis

# PyTorch's CPU build where its index can be reached; the default wheel brings gigabytes of CUDA.
$(READY): pyproject.toml requirements/locked.txt
	tests/venv.sh $(PYTHON) $(VENV)
	$(PIP) install $(QUIET) --retries 1 --timeout 20 --index-url $(TORCH_CPU_INDEX) $(TORCH) \
	  || $(PIP) install $(QUIET) $(TORCH)
	$(PIP) install $(QUIET) --requirement requirements/locked.txt
	$(PIP) install $(QUIET) --no-deps --editable .
	touch $(READY)

# torchvision needs the torch that it was built beside; where the CPU builds of both cannot be
# reached, the default wheels bring gigabytes of CUDA, and a CPU build of torch alone is no help.
$(ZOO)/.ready: pyproject.toml requirements/locked.txt | $(READY)
	tests/venv.sh $(PYTHON) $(ZOO)
	$(ZOO)/bin/python -m pip --disable-pip-version-check install $(QUIET) --retries 1 --timeout 20 \
	  --index-url $(TORCH_CPU_INDEX) torch torchvision \
	  || $(ZOO)/bin/python -m pip --disable-pip-version-check install $(QUIET) torch torchvision
	$(ZOO)/bin/python -c 'import torchvision' 2>/dev/null || $(ZOO)/bin/python -m pip \
	  --disable-pip-version-check install $(QUIET) --upgrade torch torchvision
	$(ZOO)/bin/python -m pip --disable-pip-version-check install $(QUIET) timm \
	  --requirement requirements/locked.txt
	$(ZOO)/bin/python -m pip --disable-pip-version-check install $(QUIET) --no-deps --editable .
	touch $(ZOO)/.ready

# It sees the system's TensorRT, which comes with JetPack or NVIDIA's packages; pycuda is built
# against their CUDA headers.
$(DEVICE)/.ready: pyproject.toml requirements/locked.txt
	$(PYTHON) -m venv --system-site-packages $(DEVICE)
	$(DEVICE)/bin/python -m pip --disable-pip-version-check install $(QUIET) \
	  --requirement requirements/locked.txt 'pycuda>=2024.1'
	$(DEVICE)/bin/python -m pip --disable-pip-version-check install $(QUIET) --no-deps --editable .
	touch $(DEVICE)/.ready

# PyTorch is left out: which build of it is wanted differs from machine to machine. What a board
# gets is of the same versions, and setuptools and wheel, which build pycuda there.
lock: $(READY)
	$(PIP) install $(QUIET) uv
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.10 --no-annotate \
	  --extra openvino --extra tensorrt-rtx --extra calibration --extra export --extra bench \
	  --extra dev --no-header --upgrade --no-emit-package torch --no-emit-package triton \
	  | grep -v -E '^(nvidia|cuda)-' > requirements/locked.txt
	printf 'setuptools\nwheel\n' | $(BIN)/uv pip compile pyproject.toml - --universal \
	  --python-version 3.10 --no-annotate --extra tensorrt --constraint requirements/locked.txt \
	  --no-header > requirements/device.txt

clean:
	rm -rf build dist
