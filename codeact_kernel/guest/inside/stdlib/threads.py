"""Run threads without threads. The importer loads this module after `threading`.

A thread's function runs from beginning to end when it is started. A tool call is sent without waiting, and `join` waits
for it. A `Timer` runs at `join` or at the end of the program, so that a program can cancel it before.

Nothing else happens while a thread waits, so waiting for another thread would last forever. A thread that does so ends
there, as it would at the end of the program. If threads have called no tool so far, `start` raises an error instead.
"""

import _thread
import threading
import time
from collections.abc import Callable
from typing import Any

from ..tool_calls import PendingCall, get_submit_function, on_call_sent, on_program_end

_module: Any = threading
_start, _join = threading.Thread.start, threading.Thread.join
_timers: list[tuple[Any, Callable[[], None]]] = []
"""Started timers, with the function that runs each."""
_calls: dict[Any, PendingCall] = {}
"""Open calls, by their threads."""
_has_called: set[bool] = set()
"""Not empty if a thread has called a tool."""
_STUCK = (
    "this waits for another thread, but the sandbox has none: a thread runs from beginning to end when it is started."
    " Use ThreadPoolExecutor().map(...), or call the functions one after another"
)


def _run(run: Callable[[], None], *, handle: Any, daemon: bool) -> None:
    """Replace the function that starts a thread of the system."""
    thread: Any = run.__self__  # type: ignore[attr-defined]
    if isinstance(thread, threading.Timer):
        _timers.append((thread, run))
        thread._started.set()  # type: ignore[attr-defined]
    else:
        _run_now(thread, run)


def _run_now(thread: Any, run: Callable[[], None]) -> None:
    outer, ident = threading.current_thread(), _thread.get_ident()
    thread._os_thread_handle = _module._make_thread_handle(ident)
    call = get_submit_function(thread._target) if type(thread).run is threading.Thread.run else None
    if call is not None:
        thread._target, arguments = _calls.__setitem__, thread._kwargs
        thread._kwargs = {}
        try:
            thread._args = (thread, call(1, *thread._args, **arguments))
        except Exception as error:
            thread._target, thread._args = _raise, (error,)
    try:
        run()
    finally:
        _module._active[ident] = outer
        thread._os_thread_handle._set_done()


def _raise(error: Exception) -> None:
    raise error


def _run_timer(max_seconds: float | None, only: Any = None) -> bool:
    """Run the first timer that ends within `max_seconds`, and return whether there was one."""
    for index, (timer, run) in enumerate(_timers):
        if (max_seconds is None or timer.interval <= max_seconds) and only in (None, timer):
            del _timers[index]
            _run_now(timer, run)
            return True
    return False


def start(self: Any) -> None:
    _start(self)
    if getattr(self, "codeact_stuck", False) and not _has_called:
        raise RuntimeError(_STUCK)


def join(self: Any, timeout: float | None = None) -> None:
    _run_timer(None, self)
    if call := _calls.pop(self, None):
        try:
            call.result()
        except Exception:
            self._invoke_excepthook(self)
    _join(self, timeout)


def wait(self: Any, timeout: float | None = None) -> bool:
    """Replace `Condition.wait`, on which queues, events, semaphores and barriers are built."""
    if not self._is_owned():
        raise RuntimeError("cannot wait on un-acquired lock")
    waiter = _thread.allocate_lock()
    waiter.acquire()
    self._waiters.append(waiter)
    saved = self._release_save()
    try:
        while waiter.locked() and _run_timer(timeout):
            pass
        if waiter.locked() and timeout is None:
            _give_up()
        elif waiter.locked():
            time.sleep(max(timeout or 0, 0))
        return not waiter.locked()
    finally:
        self._acquire_restore(saved)
        if waiter in self._waiters:
            self._waiters.remove(waiter)


def _give_up() -> None:
    thread: Any = threading.current_thread()
    if thread is threading.main_thread():
        raise RuntimeError(_STUCK)
    thread.codeact_stuck = True
    raise SystemExit  # it ends a thread silently


def _note_call(_: str) -> None:
    if threading.current_thread() is not threading.main_thread():
        _has_called.add(True)


def _finish_threads() -> None:
    """Finish the remaining timers and calls at the end of the program. Daemon timers do not run."""
    while any(not timer.daemon for timer, _ in _timers):
        _run_timer(None)
    for thread in list(_calls):
        thread.join()


_module._start_joinable_thread = _run
_module.Thread.start, _module.Thread.join, _module.Condition.wait = start, join, wait
on_call_sent.append(_note_call)
on_program_end.append(_finish_threads)
