"""Tissues by the label that stands for them on a map."""

from __future__ import annotations

TISSUES = (
    "air", "bone", "ligament", "fat", "muscle", "skin", "marrow", "fatty marrow", "annulus",
    "cord", "oedema", "csf", "flowing csf", "white matter", "grey matter", "mucosa", "gland",
    "cartilage", "vein", "flow void", "epidural",
)  # fmt: skip

LABEL: dict[str, int] = {name: index for index, name in enumerate(TISSUES)}
"""Value of a tissue in a label map."""

FIRST_DISC = 64
"""Label of the nucleus of the first disc, C2/3; the others follow, then those of the bodies."""

FIRST_BODY = 80
