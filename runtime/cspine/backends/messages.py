"""What TensorRT says. It heeds the first logger of a process and no later one, so there is one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from threading import RLock
from typing import Any

from cspine.backends.capability import tensorrt_module

_LOG = logging.getLogger("cspine.tensorrt")
_TURN = RLock()  # a logger cannot tell for whom a message is, so one listens at a time


@dataclass
class Messages:
    """What was said while somebody listened.

    Attributes
    ----------
    details
        Of the builder, among them the list of an engine's layers.
    errors
        Each as one line, in order.
    """

    details: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def reason(self) -> str:
        """The first error, which the others follow from; empty if there is none."""
        return self.errors[0] if self.errors else ""


@contextmanager
def listening() -> Iterator[tuple[Any, Messages]]:
    """Yield the process's logger, to be handed to TensorRT, and what is said meanwhile.

    Warnings go to Python's logging, each once; what is said while nobody listens, errors too.
    """
    with _TURN:
        logger = _logger_of(tensorrt_module())
        logger.messages = Messages()
        try:
            yield logger, logger.messages
        finally:
            logger.messages = None


@cache
def _logger_of(trt: Any) -> Any:
    severity = trt.ILogger.Severity
    faults = (severity.INTERNAL_ERROR, severity.ERROR)

    class Logger(trt.ILogger):  # type: ignore[misc]  # known at run time only
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.messages: Messages | None = None
            self._told: set[str] = set()

        def log(self, severity: Any, message: str) -> None:
            if self.messages is not None and severity in faults:
                self.messages.errors.append(" ".join(message.split()))
            elif severity in (*faults, trt.ILogger.Severity.WARNING):
                if message not in self._told:
                    self._told.add(message)
                    _LOG.warning("%s", message)
            elif self.messages is not None and severity == trt.ILogger.Severity.VERBOSE:
                self.messages.details.append(message)

    return Logger()
