"""The published JSON Schema of a file that msgspec reads and writes."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any

import msgspec


def json_schema(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a struct, the same on every Python."""
    schema = msgspec.json.schema(struct)
    for definition in schema["$defs"].values():
        # Python 3.13 takes the indentation out of docstrings, earlier ones leave it in.
        if "description" in definition:
            definition["description"] = cleandoc(definition["description"])
    # Defaults come as Python has them, tuples among them.
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(schema))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **plain}
