"""A TensorRT without a GPU: the bindings' names, and an engine that is run by ONNX Runtime.

It holds to what NVIDIA's documents say of each version where our code could get it wrong: explicit
batches and flags of weak typing, one context a profile, work that is done when the stream is
synchronised and not before, plans of another version.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from trt.cuda import Cuda
from trt.guard import Guarded, Surface

_MAGIC = b"FAKE"
_TYPES = {"tensor(float)": "FLOAT", "tensor(float16)": "HALF", "tensor(int32)": "INT32"}
_ENUMS = (
    "BuilderFlag DataType DeviceType LayerInformationFormat MemoryPoolType "
    "NetworkDefinitionCreationFlag PreviewFeature ProfilingVerbosity TensorIOMode"
).split()


def fake_tensorrt(version: str, cuda: Cuda) -> tuple[ModuleType, Surface]:
    """Return a module ``tensorrt`` of a version, and what notes its calls."""
    surface = Surface(version)
    module = ModuleType("tensorrt")
    names = vars(module)
    names.update(dict.fromkeys(surface.names, None))  # there, and of no use to us
    names["__version__"] = version
    for kind in _ENUMS:
        if kind in surface.names:
            names[kind] = surface.enumeration(kind)
    names["ILogger"] = _logger()
    if "IProgressMonitor" in surface.names:
        names["IProgressMonitor"] = type("IProgressMonitor", (), {})
    names["nptype"] = lambda kind: {"FLOAT": np.float32, "HALF": np.float16}[kind.name]
    make = _Maker(module, surface, cuda)
    for kind in (Builder, OnnxParser, Runtime):
        names[kind.__name__] = make.constructor(kind)
    return module, surface


def _logger() -> type:
    class Severity(int):
        pass

    levels = {
        name: Severity(i)
        for i, name in enumerate("INTERNAL_ERROR ERROR WARNING INFO VERBOSE".split())
    }
    return type("ILogger", (), {"Severity": type("Severity", (), levels), **levels})


class _Maker:
    """What every object needs to make the next one."""

    def __init__(self, module: ModuleType, surface: Surface, cuda: Cuda) -> None:
        self.trt, self.surface, self.cuda = module, surface, cuda
        self.major = int(surface.version.partition(".")[0])

    def constructor(self, kind: type) -> Any:
        def construct(*given: Any) -> Guarded:
            bare = (each._does if isinstance(each, Guarded) else each for each in given)
            return Guarded(self.surface, kind.__name__, kind(self, *bare))

        return construct

    def make(self, kind: str, does: object) -> Guarded:
        return Guarded(self.surface, kind, does)


class Memory:
    """Bytes of the library's."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __bytes__(self) -> bytes:
        return self._data


class Builder:
    def __init__(self, maker: _Maker, logger: Any) -> None:
        self._maker, self._logger = maker, logger

    def create_network(self, flags: int = 0) -> Guarded:
        return self._maker.make("INetworkDefinition", Network(self._maker, flags))

    def create_builder_config(self) -> Guarded:
        return self._maker.make("IBuilderConfig", BuilderConfig(self._maker))

    def create_optimization_profile(self) -> Guarded:
        return self._maker.make("IOptimizationProfile", Profile())

    def build_serialized_network(self, network: Network, config: BuilderConfig) -> Memory | None:
        severity = self._maker.trt.ILogger.Severity
        fault = self._fault(network, config)
        if fault:
            self._logger.log(severity.ERROR, f"Error Code 4: {fault}")
            return None
        self._logger.log(severity.VERBOSE, "Autotuning")
        if config.progress_monitor is not None and not _reported(config.progress_monitor):
            self._logger.log(severity.ERROR, "Build cancelled by IProgressMonitor")
            return None
        if config.cache is not None:
            config.cache.entries += b"t"
        head = {
            "version": self._maker.surface.version,
            "profiles": [profile.shapes for profile in config.profiles],
            "dla": config.default_device_type.name == "DLA",
        }
        return Memory(sealed(json.dumps(head).encode() + b"\0" + network.onnx))

    def _fault(self, network: Network, config: BuilderConfig) -> str | None:
        """Say what this version has against a network and its configuration."""
        flags = {flag.name for flag in config.set}
        weak = flags & {"FP16", "INT8"}
        if network.strong and weak:
            return f"{weak} are not allowed in a strongly typed network"
        quantised = any(
            node.op_type == "QuantizeLinear"
            for node in onnx.load_from_string(network.onnx).graph.node
        )
        if quantised and not network.strong and "INT8" not in flags:
            return "Q/DQ layers need the flag INT8"
        if config.default_device_type.name == "DLA":
            if "GPU_FALLBACK" not in flags:
                return "a layer cannot run on the DLA"
            if not network.strong and "FP16" not in flags:
                return "a DLA computes in FP16 or INT8"
            if network.strong and self._maker.major < 11:
                return "a DLA takes no strongly typed network"
        for name in network.inputs:
            if (
                not all(name in profile.shapes for profile in config.profiles)
                or not config.profiles
            ):
                return f"input {name} has no profile"
        return None


def _reported(monitor: Any) -> bool:
    """Report two phases, one within the other, and return whether the build may go on."""
    go_on = True
    monitor.phase_start("Building engine", None, 2)
    for step in range(2):
        monitor.phase_start("Autotuning", "Building engine", 1)
        go_on = go_on and monitor.step_complete("Autotuning", 0)
        monitor.phase_finish("Autotuning")
        go_on = go_on and monitor.step_complete("Building engine", step)
    monitor.phase_finish("Building engine")
    return go_on


class Network:
    def __init__(self, maker: _Maker, flags: int) -> None:
        kinds = maker.trt.NetworkDefinitionCreationFlag
        asked = {kind.name for kind in kinds if flags >> int(kind) & 1}
        self.strong = "STRONGLY_TYPED" in asked or maker.major >= 11
        self.explicit = "EXPLICIT_BATCH" in asked or maker.major >= 10
        self.onnx = b""
        self.inputs: list[str] = []


class OnnxParser:
    def __init__(self, maker: _Maker, network: Network, logger: Any) -> None:
        self._maker, self._network = maker, network
        self._errors: list[str] = []

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> str:
        return self._errors[index]

    def parse(self, model: bytes, path: str | None = None) -> bool:
        if not self._network.explicit:
            self._errors.append("the network must have an explicit batch")
            return False
        try:
            graph = onnx.load_from_string(model).graph
        except Exception as error:  # protobuf's own
            self._errors.append(f"cannot parse: {type(error).__name__}")
            return False
        self._network.onnx = model
        self._network.inputs = [each.name for each in graph.input]
        return True


class BuilderConfig:
    def __init__(self, maker: _Maker) -> None:
        self._maker = maker
        flags = maker.trt.BuilderFlag
        self.set = {flags.TF32}
        self.profiles: list[Profile] = []
        self.pools: dict[str, int] = {}
        self.profiling_verbosity = None
        self.default_device_type = maker.trt.DeviceType.GPU
        self.DLA_core = -1
        self.progress_monitor = None
        self.cache: TimingCache | None = None

    def set_flag(self, flag: Any) -> None:
        self.set.add(flag)

    def clear_flag(self, flag: Any) -> None:
        self.set.discard(flag)

    def set_memory_pool_limit(self, pool: Any, size: int) -> None:
        self.pools[pool.name] = size

    def add_optimization_profile(self, profile: Profile) -> int:
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def create_timing_cache(self, data: bytes) -> Guarded:
        return self._maker.make("ITimingCache", TimingCache(bytes(data)))

    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
        self.cache = cache
        return True

    def get_timing_cache(self) -> Guarded:
        return self._maker.make("ITimingCache", self.cache)


class TimingCache:
    def __init__(self, entries: bytes) -> None:
        self.entries = entries

    def serialize(self) -> Memory:
        return Memory(self.entries)


class Profile:
    def __init__(self) -> None:
        self.shapes: dict[str, list[Sequence[int]]] = {}

    def set_shape(self, name: str, *sizes: Sequence[int]) -> None:
        self.shapes[name] = list(sizes)


class Runtime:
    engine_host_code_allowed = False

    def __init__(self, maker: _Maker, logger: Any) -> None:
        self._maker, self._logger = maker, logger

    def deserialize_cuda_engine(self, plan: bytes) -> Guarded | None:
        fault = None
        content = opened(plan)
        if content is None:
            fault = "Serialization assertion plan->header.magicTag == rt::kPLAN_MAGIC_TAG failed."
        else:
            head, _, model = content.partition(b"\0")
            facts = json.loads(head)
            if facts["version"] != self._maker.surface.version:
                fault = f"The engine plan file is of {facts['version']}"
        if fault:
            self._logger.log(self._maker.trt.ILogger.Severity.ERROR, fault)
            return None
        return self._maker.make("ICudaEngine", Engine(self._maker, facts, model))


class Engine:
    def __init__(self, maker: _Maker, facts: dict[str, Any], model: bytes) -> None:
        self._maker = maker
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.operators: dict[str, list[str]] = {}
        for node in onnx.load_from_string(model).graph.node:
            self.operators.setdefault(node.op_type, []).append(node.name)
        self.profiles: list[dict[str, list[list[int]]]] = facts["profiles"]
        self.inputs = {each.name: each for each in self.session.get_inputs()}
        self.outputs = {each.name: each for each in self.session.get_outputs()}
        self.tensors = {**self.inputs, **self.outputs}
        self.taken: set[int] = set()

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors)

    @property
    def num_optimization_profiles(self) -> int:
        return len(self.profiles)

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_mode(self, name: str) -> Any:
        modes = self._maker.trt.TensorIOMode
        return modes.INPUT if name in self.inputs else modes.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        return self._maker.trt.DataType[_TYPES[self.tensors[name].type]]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(each if isinstance(each, int) else -1 for each in self.tensors[name].shape)

    def get_tensor_profile_shape(self, name: str, index: int) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(each) for each in self.profiles[index][name])

    def create_engine_inspector(self) -> Guarded:
        return self._maker.make("EngineInspector", Inspector(self))

    def create_execution_context(self) -> Guarded:
        return self._maker.make("IExecutionContext", Context(self._maker, self))


class Inspector:
    execution_context = None

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get_engine_information(self, kind: Any) -> str:
        """Tell a layer for each convolution, in the words of TensorRT 10."""
        dtype = "Int8" if "DequantizeLinear" in self._engine.operators else "Float"
        said = {"Int8": "INT8", "Float": "FP32"}[dtype]
        tensors = [{"Name": "t", "Dimensions": [1], "Format/Datatype": f"Row major {said}"}]
        layers = [
            {
                "Name": name,
                "LayerType": "CaskConvolution",
                "Inputs": tensors,
                "Outputs": tensors,
                "Weights": {"Type": dtype, "Count": 1},
                "Metadata": f"[ONNX Layer: {name}]",
            }
            for name in self._engine.operators.get("Conv", ())
        ]
        return json.dumps({"Layers": layers, "Bindings": []})


class Context:
    def __init__(self, maker: _Maker, engine: Engine) -> None:
        self._maker, self._engine = maker, engine
        self._addresses: dict[str, int] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._profile = -1
        if not engine.taken or maker.major >= 10:
            self._take(0)

    def _take(self, index: int) -> bool:
        """Take a profile, which up to TensorRT 8.6 no two contexts may share."""
        if index in self._engine.taken and self._maker.major < 10 and index != self._profile:
            return False
        self._engine.taken.discard(self._profile)
        self._engine.taken.add(index)
        self._profile = index
        return True

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        return self._take(index)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        low, _, high = self._engine.get_tensor_profile_shape(name, self._profile)
        fits = all(a <= b <= c for a, b, c in zip(low, shape, high, strict=True))
        if fits:
            self._shapes[name] = tuple(shape)
        return fits

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name in self._shapes:
            return self._shapes[name]
        shape = self._engine.get_tensor_shape(name)
        rows = next(iter(self._shapes.values()))[0]
        return (rows if shape[0] < 0 else shape[0], *shape[1:])

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream: int) -> bool:
        if self._addresses.keys() != self._engine.tensors.keys() or self._profile < 0:
            return False
        shapes = {name: self.get_tensor_shape(name) for name in self._engine.tensors}
        self._maker.cuda.stream(stream).enqueue(lambda: self._execute(shapes))
        return True

    def _execute(self, shapes: dict[str, tuple[int, ...]]) -> None:
        cuda, engine = self._maker.cuda, self._engine

        def at(name: str) -> np.ndarray[Any, Any]:
            dtype = np.float16 if "16" in engine.tensors[name].type else np.float32
            size = math.prod(shapes[name]) * np.dtype(dtype).itemsize
            return cuda.memory(self._addresses[name], size).view(dtype).reshape(shapes[name])

        found = engine.session.run(None, {name: at(name) for name in engine.inputs})
        for name, value in zip(engine.outputs, found, strict=True):
            at(name)[...] = value


def sealed(content: bytes) -> bytes:
    """Return a plan: a mark, a digest and the content."""
    return _MAGIC + hashlib.sha256(content).digest() + content


def opened(plan: bytes) -> bytes | None:
    """Return what a plan holds, if it is whole."""
    plan = bytes(plan)
    content = plan[36:]
    return content if plan == sealed(content) else None
