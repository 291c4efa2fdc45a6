"""Checks, errors and lifetime around a backend, written once for all of them."""

from __future__ import annotations

from collections.abc import Mapping

from cspine.backends import Array, Backend, TensorSpec
from cspine.errors import BackendError, did_you_mean


class Session:
    """One stage's model, ready to run.

    Parameters
    ----------
    stage
        Names the model in messages.
    backend
        Owned by the session from here on: :meth:`close` closes it.
    """

    def __init__(self, stage: str, backend: Backend) -> None:
        self.stage = stage
        self._backend: Backend | None = backend
        self._inputs = {spec.name: spec for spec in backend.inputs}

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that :meth:`run` must be fed."""
        return tuple(self._inputs.values())

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once.

        Parameters
        ----------
        feeds
            One C-contiguous array per input, of exactly its dtype and shape; nothing is
            converted.

        Returns
        -------
        dict
            Output name to a freshly owned array, which the next call leaves alone.

        Raises
        ------
        BackendError
            If the session is closed, the feeds do not fit the model, or the runtime fails.
        """
        if self._backend is None:
            raise BackendError(f"stage {self.stage!r}: the session is closed")
        for name in feeds.keys() - self._inputs.keys():
            raise BackendError(
                f"stage {self.stage!r}: the model has no input {name!r}"
                f"{did_you_mean(name, self._inputs)}"
            )
        for name, spec in self._inputs.items():
            if name not in feeds:
                raise BackendError(
                    f"stage {self.stage!r}, input {name!r}: not fed, expected {spec}"
                )
            if not _fits(feeds[name], spec):
                layout = "" if feeds[name].flags.c_contiguous else ", not C-contiguous"
                got = f"{feeds[name].dtype.name} {feeds[name].shape}{layout}"
                raise BackendError(
                    f"stage {self.stage!r}, input {name!r}: got {got}, expected {spec}"
                )
        try:
            return self._backend.run(feeds)
        except BackendError:
            raise
        except Exception as error:  # vendors share no base class
            raise BackendError(
                f"stage {self.stage!r}: {type(self._backend).__name__} failed: {_line(error)}"
            ) from error

    def close(self) -> None:
        """Release the model; closing twice is allowed."""
        if self._backend is not None:
            self._backend.close()
            self._backend = None


def _fits(array: Array, spec: TensorSpec) -> bool:
    return (
        array.dtype == spec.dtype
        and array.ndim == len(spec.shape)
        and all(want in (None, have) for want, have in zip(spec.shape, array.shape, strict=True))
        and array.size > 0
        and array.flags.c_contiguous
    )


def _line(error: Exception) -> str:
    """Return a vendor's message as one line."""
    return " ".join(str(error).split()) or type(error).__name__
