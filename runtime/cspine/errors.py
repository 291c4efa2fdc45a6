"""Everything that can go wrong for a reason a user can mend.

::

    CspineError            one line on stderr, exit 2
    ├── SpecError          a pipeline file says something it may not
    ├── BundleError        a bundle is damaged, incomplete, foreign or not one at all
    ├── StudyError         an input cannot be read as DICOM
    ├── BackendError       a runtime is missing, or a model and its tensors do not fit
    └── ModelError         a checkpoint, graph, calibration table or case set cannot be used

A message says where, what was found, what was expected and what to do; it never repeats the
value of a DICOM element. A *refusal* is no error but an answer: see :mod:`cspine.findings`.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class CspineError(Exception):
    """A fault that the user can mend; its message is the whole report."""


class SpecError(CspineError):
    """A pipeline file is malformed."""


class BundleError(CspineError):
    """A bundle cannot be trusted or lacks what was asked of it."""


class StudyError(CspineError):
    """A study cannot be read at all."""


class BackendError(CspineError):
    """A backend is missing, cannot load a model, or was fed the wrong tensors."""


class ModelError(CspineError):
    """A checkpoint, a graph, a calibration table or a case set cannot be used."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the closest known word, or an empty string."""
    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def missing_extra(package: str, extra: str) -> str:
    """Return the sentence that repairs a missing optional dependency."""
    return f"{package!r} is not installed; install it with: pip install 'cspine[{extra}]'"
