"""Load one file and run it once, in a process that may die of it."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from cspine.backends import open_backend
from cspine.backends.openvino import OpenVino

if __name__ == "__main__":
    path, runtime = Path(sys.argv[1]), sys.argv[2]
    feeds = pickle.loads(Path(sys.argv[3]).read_bytes())  # noqa: S301 (the parent wrote it)
    native = path.suffix == ".xml"
    backend = OpenVino(path) if native else open_backend(runtime, path.read_bytes())
    backend.run(feeds)
