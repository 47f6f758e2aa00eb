"""The two seams inside the worker process; both are synchronous, since a guest's calls are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from ..types import CallOutcome, JSONObject, RunOutcome, Stream

__all__ = ["Dispatch", "Host", "IsolatedGuest", "RunRequest"]


class Dispatch(Protocol):
    """The one host function that a guest can call: a message in, its answer out; see `chunking.py`. Never raises
    because of what the guest sends.
    """

    def __call__(self, message: Mapping[str, object]) -> str:
        """One message of an operation that goes in pieces."""
        ...

    def whole(self, operation: JSONObject, size: int) -> str:
        """An operation in one message of `size` bytes, which was decoded strictly."""
        ...


class RunRequest(Protocol):
    """What a guest is to run."""

    @property
    def program(self) -> str: ...

    @property
    def tools(self) -> JSONObject: ...

    @property
    def rooms(self) -> JSONObject: ...


class Host(Protocol):
    """What the worker does for a guest, over the bridge."""

    def open_call(self, name: str, arguments: JSONObject, line: int, together: int) -> int:
        """Send a call off; its id. Waits first when too many calls are in flight."""
        ...

    def wait_answers(self, calls: Collection[int], seconds: float | None) -> list[tuple[int, CallOutcome]]:
        """The answers there are to `calls`: at least one, unless `seconds` ran out."""
        ...

    def write(self, stream: Stream, text: str) -> None:
        """The program printed."""
        ...


class IsolatedGuest(Protocol):
    """What isolates a guest inside a worker.

    Attributes:
        hypervisor: it needs the hypervisor's device while it runs.
        can_be_copied: a copy of the process has a guest of its own, as it was: there are no threads, and nothing that
            both would share.
    """

    hypervisor: bool
    can_be_copied: bool

    def run(self) -> RunOutcome | None:
        """Run the guest's runner once. `None` when the guest reported its outcome itself through the host function;
        an outcome when the guest died, in which case it has to be reset.

        Raises:
            SandboxError: what isolates it is lost as well.
        """
        ...

    def reset(self) -> None:
        """Throw the guest's state away.

        Raises:
            SandboxError: that did not work.
        """
        ...
