"""Runs in the guest as `codeact_threading`, once `threading` is imported: a thread that is started says what to use."""

import threading
from typing import Any, NoReturn


def _start(self: Any) -> NoReturn:
    raise RuntimeError(
        "can't start new thread: the sandbox has none. Call the function directly, or use tool.map(...) for calls in"
        " flight together"
    )


threading.Thread.start = _start  # type: ignore[method-assign]
