"""The error tree, split by whose move is next::

    CodeActError                 shown as one sentence in a notebook, never as a traceback of ours
    ├── ProgramError             the model's move: it repairs the program
    ├── SandboxError             our move: the worker is discarded and replaced
    │   └── BridgeError          the other end broke the protocol
    ├── ModelError               the person's move: the model cannot be reached, refused, or gave no usable answer
    └── UserError                the person's move: a bad option, a missing part, a tool that cannot be offered
        └── ToolDefinitionError  what `@tool` was put on cannot become a tool

Facts are fields (`timed_out`, `worker_lost`), never words to search for in a message.
"""

from __future__ import annotations

__all__ = [
    "BridgeError",
    "CodeActError",
    "ModelError",
    "ProgramError",
    "SandboxError",
    "ToolDefinitionError",
    "UserError",
]


class CodeActError(Exception):
    """Base of all our errors. `str(error)` is one sentence that says what to do next."""

    def _render_traceback_(self) -> list[str]:
        # IPython asks an exception for its own rendering: a sentence, not a stack of our frames.
        kind = next(kind for kind in type(self).__mro__ if kind.__module__ == __name__)  # one of the tree above
        return [f"{kind.__name__}: {self}"]


class ProgramError(CodeActError):
    """The program is at fault; the text goes back to the model."""


class SandboxError(CodeActError):
    """The worker cannot be used any more.

    Attributes:
        timed_out: the run's wall-clock limit ended it.
        worker_lost: the process ended or was killed while it was needed.
    """

    def __init__(self, message: str, *, timed_out: bool = False, worker_lost: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out
        self.worker_lost = worker_lost


class BridgeError(SandboxError):
    """A frame that may not be said now, or that is no frame at all."""


class ModelError(CodeActError):
    """The model gave nothing we can use.

    Attributes:
        status: the HTTP status of the endpoint's answer, where there was one.
        retryable: asking again may help (rate limit, server error, time-out).
    """

    def __init__(self, message: str, *, status: int | None = None, retryable: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.retryable = retryable


class UserError(CodeActError):
    """The person must change something; the message says what."""


class ToolDefinitionError(UserError):
    """What `@tool` was put on cannot be offered to a model."""
