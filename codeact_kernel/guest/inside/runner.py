"""One program, from its text to its outcome.

The program comes as data (op `job`) and its outcome goes as data (op `result`); whatever it raises ends here.
"""

import ast
import codecs
import io
import json
import linecache
import random
import sys
import time
from importlib import import_module
from types import CodeType, ModuleType, TracebackType
from typing import Any

from . import awaited_tools, final_value, streaming
from .bootstrap import before_sleep, host
from .prefetch import scheduler
from .tool_calls import (
    PROGRAM,
    ToolDenied,
    ToolFailed,
    as_function,
    before_end,
    call_tool,
    call_tool_async,
    flushes,
    plain,
    sendable,
)

_TOP_LEVEL_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_COROUTINE = 0x80
_FLUSH_AT = 4_096
_FLUSH_EVERY = 0.05
_LINES_UNSEEN = 4
_TEXT = 20_000
_OBSERVED = 8_000
_OBSERVED_IN_ALL = 64_000


class Stream(io.TextIOBase):
    """stdout or stderr. Lines go out at once, floods are joined: a step to the host costs more than a short line.

    In a micro-VM so does a look at the clock, therefore a flood looks at it every few lines only.
    """

    encoding = "utf-8"  # type: ignore[assignment]
    errors = "backslashreplace"  # type: ignore[assignment]
    line_buffering, write_through = True, False

    def __init__(self, name: str) -> None:
        self.name = name
        self._parts: list[str] = []
        self._size = 0
        self._sent = 0.0
        self._lines = 0
        self._stride = 1
        self._buffer: Buffer | None = None

    @property
    def buffer(self) -> "Buffer":  # type: ignore[override]
        if self._buffer is None:
            self._buffer = Buffer(self)
        return self._buffer

    def reconfigure(self, **_: Any) -> None:
        """Nothing of it can be changed."""

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._parts.append(text)
        self._size += len(text)
        if self._size >= _FLUSH_AT:
            self.flush()
        elif "\n" in text:
            self._end_of_line()
        return len(text)

    def _end_of_line(self) -> None:
        self._lines += 1
        if self._lines < self._stride:
            return
        self._lines = 0
        if time.time() - self._sent > _FLUSH_EVERY:
            self._stride = 1
            self.flush()
        else:
            self._stride = min(2 * self._stride, _LINES_UNSEEN)

    def flush(self) -> None:
        if not self._parts:
            return
        text = "".join(self._parts)
        self._parts, self._size, self._sent = [], 0, time.time()
        for start in range(0, len(text), 1 << 20):
            part = text[start : start + (1 << 20)]
            try:
                host("write", stream=self.name, text=part)
            except UnicodeEncodeError:  # a lone surrogate: shown as its escape
                host("write", stream=self.name, text=part.encode(errors="backslashreplace").decode())


class Buffer(io.RawIOBase):
    """What a stream has below it: bytes of UTF-8 are written as text."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        data = bytes(data)
        self._stream.write(self._decoder.decode(data))
        return len(data)

    def flush(self) -> None:
        self._stream.flush()


_out, _err = Stream("stdout"), Stream("stderr")
_main = ModuleType("__main__")
_observed: list[str] = []
_unobserved = "… more was observed, and is left out"
_reserve: list[bytes] = [bytes(1 << 20)]


def observe(value: Any) -> None:
    """Hand `value` back to the model, which then writes the next program."""
    try:
        text = json.dumps(plain(value), ensure_ascii=False, indent=1)
    except TypeError:
        text = _repr(value)
    if _observed and _observed[-1] is _unobserved:
        return
    full = sum(map(len, _observed)) > _OBSERVED_IN_ALL or len(_observed) >= 1_000
    _observed.append(_unobserved if full else _cut(_encodable(text), _OBSERVED))


def run() -> None:
    """Fetch the job, run it, report its outcome. Never raises."""
    job = host("job")
    sys.argv = ["program"]
    sys.stdout = sys.__stdout__ = _out
    sys.stderr = sys.__stderr__ = _err
    sys.modules["__main__"] = _main
    random.seed()
    _observed.clear()
    namespace = _main.__dict__
    namespace.update(call_tool=call_tool, call_tool_async=call_tool_async, observe=observe)
    namespace.update({awaited_tools.AWAITABLE: awaited_tools.awaitable, awaited_tools.STARTING: awaited_tools.starting})
    namespace.update(ToolDenied=ToolDenied, ToolFailed=ToolFailed)
    outcome: dict[str, Any] = {"failure": None, "value": None, "text": None, "is_json": False}
    try:
        ends = [
            import_module(f".{name}", __package__).start_run(config, namespace)
            for name, config in job["capabilities"].items()
        ]
        namespace.update({name: as_function(name, parameters) for name, parameters in job["tools"].items()})
        wanted = (
            job["capabilities"].get("data", {}).get("outputs")
        )  # then an assignment is for the notebook, and no value
        value = _finished(job["program"], f"{PROGRAM} {job['number']}>", namespace, assigned=not wanted)
        for end in filter(None, ends):
            end(value, bool(_observed))
        outcome.update(_value(value))
    except BaseException as error:
        _reserve.clear()  # where memory is used up, there must be some to tell of it
        outcome["failure"] = _failure(error)
    _flush()
    _report({**outcome, "observed": list(_observed)})


def _finished(source: str, filename: str, namespace: dict[str, Any], *, assigned: bool) -> Any:
    """The value of a program that came to its end, or ended itself and says that all is well."""
    try:
        return _in_pieces(source, filename, namespace, assigned)
    except SystemExit as error:
        if error.code in (None, 0):
            return None
        raise


def _in_pieces(source: str, filename: str, namespace: dict[str, Any], assigned: bool) -> Any:
    """The value of a program of which more may come while it runs."""
    done = _execute(source, filename, namespace, 0)
    while (piece := streaming.more()) is not None:
        source += piece
        if piece.strip():
            done = _execute(source, filename, namespace, done)
    for finish in (*before_end, _flush_wrapped):
        finish()
    value = final_value.taken(namespace, assigned=assigned)
    value = final_value.listed(_there(value))
    value = final_value.listed(_there(value))  # what an iterator gave may be coroutines
    if value is not None:
        namespace["_"] = value
    return value


def _execute(source: str, filename: str, namespace: dict[str, Any], done: int) -> int:
    """Run what follows the first `done` statements; how many statements there are now."""
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    tree = scheduler.rewritten(source, filename, again=done > 0)
    count = len(tree.body)
    tree.body = tree.body[done:]
    if not tree.body:
        return count
    final_value.keep_value(tree.body)
    code: CodeType = compile(tree, filename, "exec", flags=_TOP_LEVEL_AWAIT, dont_inherit=True)
    final_value.taken(namespace, assigned=False)
    if code.co_flags & _COROUTINE:
        _run_async(_until_there(eval(code, namespace), namespace))
    else:
        exec(code, namespace)
    return count


def _there(value: Any) -> Any:
    return _run_async(final_value.awaited(value)) if final_value.waits(value) else value


async def _until_there(program: Any, namespace: dict[str, Any]) -> None:
    """Await a program, and its value while the event loop is there."""
    await program
    for name in final_value.PLACES:
        if final_value.waits(value := namespace.get(name)):
            namespace[name] = await final_value.awaited(value)
    from .event_loop import rest

    await rest()


def _run_async(coroutine: Any) -> Any:
    import asyncio

    return asyncio.run(coroutine)


def _value(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    try:
        data = sendable(value)
        json.dumps(data, ensure_ascii=False).encode()
    except Exception:  # it has no JSON form, or runs code of its own that raises
        return {"text": _cut(_repr(value), _TEXT)}
    return {"value": data, "is_json": True, "text": _cut(_repr(value), _TEXT)}


def _report(outcome: dict[str, Any]) -> None:
    try:
        host("result", **outcome)
    except (RuntimeError, MemoryError) as error:  # too large, most likely: then without the value
        text = f"{(outcome['text'] or '')[:200]}… ({str(error) or 'too large'})"
        host(
            "result", **{**outcome, "value": None, "is_json": False, "text": text, "observed": outcome["observed"][:1]}
        )


def _failure(error: BaseException) -> dict[str, Any]:
    if isinstance(error, SystemExit):
        return _failed("SystemExit", f"the program ended itself with sys.exit({_repr(error.code)})", "", error)
    try:
        message = str(error)
    except BaseException:
        message = "(its text cannot be shown)"
    if isinstance(error, KeyError):
        from .error_hints import note_keys

        note_keys(error)
    return _failed(type(error).__name__, message, _traceback(error), error)


def _failed(kind: str, message: str, text: str, error: BaseException) -> dict[str, Any]:
    return {
        "kind": _cut(kind, 100),
        "message": _cut(_encodable(message), 2_000),
        "traceback": _cut(_encodable(text), _TEXT),
        "line": _line(error),
    }


def _traceback(error: BaseException) -> str:
    """As Python prints it, without the frames that are ours or the event loop's."""
    try:
        import traceback

        report = traceback.TracebackException(type(error), error, error.__traceback__, compact=True)
        seen: set[int] = set()
        todo: list[Any] = [report]
        while todo:
            one = todo.pop()
            if one is None or id(one) in seen:
                continue
            seen.add(id(one))
            ours = [frame.filename.startswith(PROGRAM) for frame in one.stack]
            first = ours.index(True) if True in ours else len(ours)
            one.stack = traceback.StackSummary.from_list(
                [frame for frame in one.stack[first:] if not frame.filename.startswith("<codeact")]
            )
            todo += [one.__cause__, one.__context__]
        return "".join(report.format())
    except BaseException:  # an evil __str__, or no memory left to format in
        return ""


def _line(error: BaseException) -> int | None:
    line = error.lineno if isinstance(error, SyntaxError) else None
    step: TracebackType | None = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename.startswith(PROGRAM):
            line = step.tb_lineno
        step = step.tb_next
    return line


def _repr(value: Any) -> str:
    try:
        return _encodable(repr(value))
    except BaseException as error:
        if isinstance(value, int):  # more digits than Python writes
            return f"<an integer of {value.bit_length():,} bits: {error}>"
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"


def _encodable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _cut(text: str, most: int) -> str:
    return (
        text
        if len(text) <= most
        else f"{text[: most // 2]} … {len(text) - most:,} characters left out … {text[-most // 2 :]}"
    )


def _flush_wrapped() -> None:
    """What the program put around the streams may hold text yet, as `io.TextIOWrapper(sys.stdout.buffer)` does."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not _out and stream is not _err and hasattr(stream, "flush"):
            stream.flush()


def _flush() -> None:
    _out.flush()
    _err.flush()


flushes.append(_flush)
before_sleep.append(_flush)
