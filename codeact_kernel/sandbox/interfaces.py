"""The interfaces inside the worker process. They are synchronous because a guest's calls are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from ..types import CallOutcome, JSONObject, RunOutcome, Stream

__all__ = ["Dispatch", "Host", "IsolatedGuest", "RunRequest"]


class Dispatch(Protocol):
    """The one host function that a guest can call with a message, and that returns its answer; see `chunking.py`.

    It never raises because of what the guest sends.
    """

    def __call__(self, message: Mapping[str, object]) -> str:
        """Handle one message of an operation that comes in pieces."""
        ...

    def whole(self, operation: JSONObject, size: int) -> str:
        """Handle an operation in one message of `size` bytes that was decoded strictly."""
        ...

    def whole_with_data(self, operation: JSONObject, size: int, data: bytes) -> tuple[str, bytes]:
        """Handle an operation that `data` belongs to. Return the answer, and the bytes that belong to it."""
        ...


class RunRequest(Protocol):
    """The program that a guest runs, with what it can use."""

    @property
    def program(self) -> str: ...

    @property
    def tools(self) -> JSONObject: ...

    @property
    def capabilities(self) -> JSONObject: ...


class Host(Protocol):
    """The services of the worker for a guest, over the bridge."""

    def call_tool(self, name: str, arguments: JSONObject, line: int, batch_size: int) -> int:
        """Send a call of a tool and return its id. While too many calls are in flight, wait first."""
        ...

    def call_host(self, capability: str, method: str, arguments: JSONObject, data: bytes) -> int:
        """Send a call of a capability's handler in the same way, with the bytes that belong to it."""
        ...

    def wait_answers(self, calls: Collection[int], seconds: float | None) -> list[tuple[int, CallOutcome]]:
        """Return the answers to `calls` that have come: at least one, unless `seconds` have passed."""
        ...

    def write(self, stream: Stream, text: str) -> None:
        """Take text that the program printed."""
        ...


class IsolatedGuest(Protocol):
    """A guest inside a worker, with what isolates it.

    Attributes:
        hypervisor: whether it needs the device of a hypervisor while it runs.
        can_be_copied: whether a copy of the process has a working guest of its own, because there are no threads and
            the two processes share nothing.
    """

    hypervisor: bool
    can_be_copied: bool

    def run(self) -> RunOutcome | None:
        """Run the runner of the guest once.

        Returns:
            `None` if the guest reported its outcome through the host function; an outcome if the guest died, which
            must be reset then.

        Raises:
            SandboxError: if the guest cannot be reset either.
        """
        ...

    def reset(self) -> None:
        """Discard the guest's state and prepare the next run.

        Raises:
            SandboxError: if that failed.
        """
        ...
