"""Provide executors without threads. The importer loads this module after `concurrent.futures`.

A submitted tool call is sent without waiting, so the calls of an executor run in parallel. Other functions run at once,
in the order in which they are submitted.
"""

import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import _base as base
from types import ModuleType
from typing import Any

from ..tool_calls import get_submit_function

_package: Any = sys.modules["concurrent.futures"]  # not an attribute of `concurrent` yet


class Future(base.Future[Any]):
    """The future of an executor. It waits for an open call only when its result is requested."""

    call: Any = None

    def settle(self) -> None:
        """Wait for the call, if there is an open one."""
        call, self.call = self.call, None
        if call is not None:
            self.run(call.result)

    def run(self, function: Callable[..., Any], *args: Any, **arguments: Any) -> None:
        """Take the function's result or its exception."""
        try:
            value = function(*args, **arguments)
        except BaseException as error:
            self.set_exception(error)
        else:
            self.set_result(value)

    def result(self, timeout: float | None = None) -> Any:
        self.settle()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self.settle()
        return super().exception(timeout)

    def done(self) -> bool:
        self.settle()
        return super().done()

    def cancel(self) -> bool:
        return False  # the call was already sent

    def __await__(self) -> Generator[Any, None, Any]:
        return self.result()
        yield  # the call was already sent, so an event loop would gain nothing

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        self.settle()
        super().add_done_callback(fn)


class Executor(base.Executor):
    """Replace `ThreadPoolExecutor`."""

    def __init__(
        self, max_workers: int | None = None, *_: Any, initializer: Any = None, initargs: Any = (), **__: Any
    ) -> None:
        self._futures: list[Future] = []
        if initializer is not None:
            initializer(*initargs)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        return self._submit(1, fn, args, kwargs)

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], **_: Any) -> Iterator[Any]:
        items = list(zip(*iterables, strict=False))
        futures = [self._submit(len(items), fn, item, {}) for item in items]
        return (future.result() for future in futures)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for future in self._futures:
            future.settle()

    def _submit(self, batch_size: int, fn: Any, args: Any, kwargs: Any) -> Future:
        future = Future()
        self._futures.append(future)
        start = get_submit_function(fn)
        if start is None:
            future.run(fn, *args, **kwargs)
        else:
            future.call = start(batch_size, *args, **kwargs)
        return future


def _settle_first(function: Callable[..., Any]) -> Callable[..., Any]:
    def settling(fs: Iterable[Any], *args: Any, **options: Any) -> Any:
        futures = list(fs)
        for future in futures:
            if isinstance(future, Future):
                future.settle()
        return function(futures, *args, **options)

    return settling


for _name in ("as_completed", "wait"):
    _wrapped = _settle_first(getattr(base, _name))
    setattr(base, _name, _wrapped)
    setattr(_package, _name, _wrapped)
_package.ThreadPoolExecutor = Executor
_package.thread = sys.modules["concurrent.futures.thread"] = ModuleType("concurrent.futures.thread")
_package.thread.__dict__.update(ThreadPoolExecutor=Executor, BrokenThreadPool=base.BrokenExecutor)
