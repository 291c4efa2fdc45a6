"""The names that a pickle of weights may hold; each is known by what it stands for, never called.

PyTorch's own reader of tensors has run code in versions that we support (CVE-2025-32434), and it
stops at a training dict's plain settings. Here no name is ever looked up.
"""

from __future__ import annotations

from cspine_export.checkpoint.tensors import DTYPES

STORAGES = {f"torch.{name}": dtype for name, dtype in DTYPES.items()}

TENSOR = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
# Their value is their first argument.
PASSED = (
    "torch._utils._rebuild_parameter",
    "torch.Size",
    "torch.jit._pickle.build_boollist",
    "torch.jit._pickle.build_doublelist",
    "torch.jit._pickle.build_intlist",
    "torch.jit._pickle.build_tensorlist",
    "torch.jit._pickle.restore_type_tag",
)
MAPPINGS = ("collections.OrderedDict", "collections.Counter", "collections.defaultdict")

# What stands beside weights in a training dict; it is passed over.
_BUILTINS = "bool bytearray complex dict float frozenset int list set slice str tuple"
_DTYPES = (
    "bfloat16 bool complex64 complex128 float16 float32 float64 int8 int16 int32 int64 uint8 "
    "strided channels_last contiguous_format preserve_format"
)
_NUMPY = [
    f"numpy.{core}.multiarray.{name}"
    for core in ("core", "_core")
    for name in ("scalar", "_reconstruct")
]
OTHERS = frozenset(
    [
        *(
            f"{module}.{each}"
            for module in ("builtins", "__builtin__")
            for each in _BUILTINS.split()
        ),
        *(f"torch.{each}" for each in _DTYPES.split()),
        *_NUMPY,
        "numpy.dtype",
        "numpy.ndarray",
        "_codecs.encode",
        "argparse.Namespace",
        "collections.deque",
        *(f"datetime.{each}" for each in ("date", "datetime", "timedelta", "timezone")),
        *(
            f"pathlib{local}.{kind}{each}"
            for local in ("", "._local")
            for kind in ("", "Pure")
            for each in ("Path", "PosixPath", "WindowsPath")
        ),
        "lightning.fabric.utilities.data.AttributeDict",
        "lightning_fabric.utilities.data.AttributeDict",
        "pytorch_lightning.utilities.parsing.AttributeDict",
        "torch.device",
        "torch.torch_version.TorchVersion",
    ]
)
KNOWN = frozenset([*STORAGES, *TENSOR, *PASSED, *MAPPINGS]) | OTHERS

# The classes of a TorchScript archive, which are its own.
SCRIPT = "__torch__"


def is_script(name: str) -> bool:
    """Return whether a name is of a class that a TorchScript archive defines."""
    return name.startswith(f"{SCRIPT}.")
