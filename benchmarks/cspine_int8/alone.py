"""Load one file and run it once, in a process that may die of it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from cspine.backends import open_backend
from cspine.backends.openvino import OpenVino

if __name__ == "__main__":
    path, runtime, feeds = Path(sys.argv[1]), sys.argv[2], np.load(sys.argv[3])
    native = path.suffix == ".xml"
    backend = OpenVino(path) if native else open_backend(runtime, path.read_bytes())
    backend.run(dict(feeds))
