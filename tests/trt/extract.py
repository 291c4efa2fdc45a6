"""Write what NVIDIA's Python bindings have, by version: ``python tests/trt/extract.py FOLDER``.

The wheels of the bindings are on the package index, TensorRT itself is not: here its libraries
are replaced by ones whose functions do nothing, which is enough to import the bindings and to list
their names. Needs a C compiler and Python 3.11.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

WHEELS = (
    "tensorrt-bindings==8.6.1",
    "tensorrt-cu12-bindings==10.3.0",
    "tensorrt-cu12-bindings==10.13.3.9",
    "tensorrt-cu12-bindings==10.16.1.11",
    "tensorrt-cu13-bindings==11.1.0.106",
    "tensorrt-cu13-bindings==11.4.0.106",
)
SURFACE = Path(__file__).with_name("surface.json")
# What the runtime and the builder need; the rest (layers, plugins, refitting) is not ours to call.
CLASSES = (
    "BuilderFlag Builder ComputeCapability DataType DeviceType EngineInspector EngineStat "
    "ExecutionContextAllocationStrategy HardwareCompatibilityLevel IBuilderConfig ICudaEngine "
    "IExecutionContext IHostMemory ILogger INetworkDefinition IOptimizationProfile "
    "IProgressMonitor IRuntimeConfig ITensor ITimingCache LayerInformationFormat Logger "
    "MemoryPoolType NetworkDefinitionCreationFlag OnnxParser OnnxParserFlag ParserError "
    "PreviewFeature ProfilingVerbosity Runtime TensorIOMode"
).split()
LIST = """
import json, sys, tensorrt_bindings as trt
names = {}
for name in sys.argv[1].split():
    kind = getattr(trt, name, None)
    if kind is not None:
        names[name] = {n: getattr(kind, n).__doc__ for n in dir(kind) if not n.startswith("_")}
print(json.dumps({"all": sorted(n for n in dir(trt) if not n.startswith("_")), "of": names}))
"""


def surface(requirement: str, folder: Path) -> dict[str, object]:
    """Return the names of one version, and of methods their parameters."""
    version = requirement.partition("==")[2]
    here = folder / version
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(here)]
    subprocess.run([*pip, requirement], check=True)
    library = here / "tensorrt_bindings" / "tensorrt.so"
    read = ["readelf", "-W", "-d", "--dyn-syms", str(library)]
    told = subprocess.run(read, check=True, capture_output=True, text=True).stdout
    # What neither the C and C++ libraries (which have versions) nor Python itself provide.
    ours = sorted(set(re.findall(r" UND ((?!_?Py|__|_ITM)\w+)$", told, re.M)))
    source = here / "nothing.c"
    source.write_text("".join(f"void* {name}(void) {{ return 0; }}\n" for name in ours))
    for needed in re.findall(r"\[(libnv\w+\.so\.\d+)\]", told):
        subprocess.run(
            ["cc", "-shared", "-o", str(here / needed), f"-Wl,-soname,{needed}", str(source)],
            check=True,
        )
    listed = subprocess.run(
        [sys.executable, "-c", LIST, " ".join(CLASSES)],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(here), "LD_LIBRARY_PATH": str(here)},
    )
    found = json.loads(listed.stdout.splitlines()[-1])
    of = {
        kind: {name: arguments(name, told) for name, told in members.items()}
        for kind, members in found["of"].items()
    }
    return {"all": found["all"], "of": of}


def arguments(name: str, told: str | None) -> list[str] | None:
    """Return a method's parameters as its first line of documentation has them.

    Of optional ones the name ends in ``=``; ``None`` where there is no one list of them.
    """
    found = re.match(rf"{name}\(self: [\w.]+(?:, (.*))?\) -> ", told or "")
    if not found:
        return None
    return [
        each.partition(":")[0] + ("=" if " = " in each else "")
        for each in re.findall(r"\w+: (?:[^,\[]|\[[^]]*\])+", found[1] or "")
    ]


if __name__ == "__main__":
    every = {wheel.partition("==")[2]: surface(wheel, Path(sys.argv[1])) for wheel in WHEELS}
    SURFACE.write_text(json.dumps(every, sort_keys=True, indent=0) + "\n")
