"""The errors, by who has to act next::

    CodeActError                 base class; a notebook shows one sentence and no traceback
    ├── ProgramError             the model acts: it fixes the program
    ├── SandboxError             the kernel acts: it replaces the worker
    │   └── BridgeError          the other end broke the protocol
    ├── ModelError               the user acts: the model was not reached, refused, or gave no usable answer
    └── UserError                the user acts: an option, an installation or a tool is wrong
        └── ToolDefinitionError  a function marked with `@tool` cannot become a tool

Code that handles an error reads its fields (`timed_out`, `worker_lost`) and never searches its message.
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
    """Base class of all errors. `str(error)` is one sentence that says what to do next.

    Attributes:
        is_shown: whether the user has read the sentence on the card. Then a notebook does not repeat it.
    """

    is_shown = False

    def _render_traceback_(self) -> list[str]:
        # IPython calls this method: it shows the sentence instead of a traceback through our code.
        if self.is_shown:
            return ["The prompt has no result: see above."]
        kind = next(kind for kind in type(self).__mro__ if kind.__module__ == __name__)  # the public class
        return [f"{kind.__name__}: {self}"]


class ProgramError(CodeActError):
    """The program has a fault. The text goes to the model."""


class SandboxError(CodeActError):
    """The worker cannot be used again.

    Attributes:
        timed_out: whether the run reached its wall-clock limit.
        worker_lost: whether the process ended during a run.
    """

    def __init__(self, message: str, *, timed_out: bool = False, worker_lost: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out
        self.worker_lost = worker_lost


class BridgeError(SandboxError):
    """The other end sent a message that is invalid, or not allowed in this state."""


class ModelError(CodeActError):
    """The model gave no usable answer.

    Attributes:
        status: the HTTP status of the answer, if there was an answer.
        retryable: whether the same request can succeed later, as after a rate limit or a timeout.
    """

    def __init__(self, message: str, *, status: int | None = None, retryable: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.retryable = retryable


class UserError(CodeActError):
    """The user must change something; the message says what."""


class ToolDefinitionError(UserError):
    """A function marked with `@tool` cannot be offered to a model."""
