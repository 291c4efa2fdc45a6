"""A backend that remembers what it was fed: how a pipeline yields real inputs of its networks."""

from __future__ import annotations

from collections.abc import Mapping

from cspine.backends.protocol import Array, Backend, TensorSpec


class Recorder:
    """See :class:`cspine.backends.Backend`; ``feeds`` holds the inputs of every run, in order."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.feeds: list[dict[str, Array]] = []

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that :meth:`run` must be fed."""
        return self._backend.inputs

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the backend, and remember copies of what it was fed."""
        self.feeds.append({name: values.copy() for name, values in feeds.items()})
        return self._backend.run(feeds)

    def close(self) -> None:
        """Close the backend; the inputs stay."""
        self._backend.close()
