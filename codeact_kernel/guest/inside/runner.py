"""Run one program, from its text to its outcome.

The program arrives as data (operation `job`) and its outcome leaves as data (operation `result`). No exception of the
program leaves this module.
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
from .bootstrap import host, sleep_hooks
from .prefetch import scheduler
from .tool_calls import (
    PROGRAM,
    ToolDenied,
    ToolFailed,
    call_tool,
    call_tool_async,
    flush_hooks,
    make_tool_function,
    on_program_end,
    source_hooks,
    to_jsonable,
    to_sendable,
)

_TOP_LEVEL_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_COROUTINE = 0x80
_FLUSH_AT = 4_096
_FLUSH_EVERY = 0.05
_MAX_STRIDE = 4
_MAX_TEXT = 20_000
_MAX_OBSERVED = 8_000
_ALIASES = {"np": "numpy", "pd": "pandas", "plt": "matplotlib.pyplot"}
"""Names that programs use without importing them, where the libraries are there."""
_MAX_OBSERVED_IN_ALL = 64_000


class Stream(io.TextIOBase):
    """stdout or stderr. Lines are sent at once, but a flood is joined: a step to the host costs more than a short line.

    In a micro-VM, reading the clock is as slow, so during a flood it is read only every few lines.
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
        """Ignore all options: a stream has none that can be changed."""

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
            self._stride = min(2 * self._stride, _MAX_STRIDE)

    def flush(self) -> None:
        if not self._parts:
            return
        text = "".join(self._parts)
        self._parts, self._size, self._sent = [], 0, time.time()
        for start in range(0, len(text), 1 << 20):
            part = text[start : start + (1 << 20)]
            try:
                host("write", stream=self.name, text=part)
            except UnicodeEncodeError:  # a lone surrogate is shown as its escape
                host("write", stream=self.name, text=part.encode(errors="backslashreplace").decode())


class Buffer(io.RawIOBase):
    """The binary layer of a stream. It decodes UTF-8 and writes the text to the stream."""

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


_stdout, _stderr = Stream("stdout"), Stream("stderr")
_main = ModuleType("__main__")
_observed: list[str] = []
_observed_too_much = "… further observations are left out"
_reserve: list[bytes] = [bytes(1 << 20)]


def observe(value: Any) -> None:
    """Return `value` to the model, which then writes the next program."""
    try:
        is_long = type(value) is str and "\n" in value  # the model reads the lines more easily than their escapes
        text = value if is_long else json.dumps(to_jsonable(value), ensure_ascii=False, indent=1)
    except TypeError:
        text = _repr(value)
    if _observed and _observed[-1] is _observed_too_much:
        return
    full = sum(map(len, _observed)) > _MAX_OBSERVED_IN_ALL or len(_observed) >= 1_000
    _observed.append(_observed_too_much if full else _truncate(_escape_surrogates(text), _MAX_OBSERVED))


def run() -> None:
    """Fetch the job, run the program, and report its outcome. Never raises."""
    job = host("job")
    sys.argv = ["program"]
    sys.stdout = sys.__stdout__ = _stdout
    sys.stderr = sys.__stderr__ = _stderr
    sys.modules["__main__"] = _main
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # all runs are copies of one guest
    for alias, name in _ALIASES.items():
        if name in sys.modules:
            _main.__dict__.setdefault(alias, sys.modules[name])
    _observed.clear()
    namespace = _main.__dict__
    namespace.update(call_tool=call_tool, call_tool_async=call_tool_async, observe=observe)
    namespace[awaited_tools.AWAITABLE] = awaited_tools.to_awaitable
    namespace[awaited_tools.STARTING] = awaited_tools.to_starter
    namespace.update(ToolDenied=ToolDenied, ToolFailed=ToolFailed)
    outcome: dict[str, Any] = {"failure": None, "value": None, "text": None, "is_json": False}
    try:
        ends = [
            import_module(f".{name}", __package__).start_run(config, namespace)
            for name, config in job["capabilities"].items()
        ]
        namespace.update({name: make_tool_function(name, parameters) for name, parameters in job["tools"].items()})
        has_outputs = bool(job["capabilities"].get("data", {}).get("outputs"))
        value = _run_program(
            job["program"],
            f"{PROGRAM} {job['number']}>",
            namespace,
            # With outputs, an assignment is for the notebook and not the value of the program.
            allow_assigned=not has_outputs,
        )
        for end in filter(None, ends):
            end(value, bool(_observed))
        outcome.update(_describe_value(value))
    except BaseException as error:
        _reserve.clear()  # if memory is used up, this frees enough for the report
        outcome["failure"] = _describe_failure(error)
    _flush()
    _report({**outcome, "observed": list(_observed)})


def _run_program(source: str, filename: str, namespace: dict[str, Any], *, allow_assigned: bool) -> Any:
    """Return the value of a program that reaches its end or calls `sys.exit` with success."""
    try:
        return _run_pieces(source, filename, namespace, allow_assigned)
    except SystemExit as error:
        if error.code in (None, 0):
            return None
        raise


def _run_pieces(source: str, filename: str, namespace: dict[str, Any], allow_assigned: bool) -> Any:
    """Return the value of a program whose later statements may arrive while it runs."""
    _announce(source)
    done = _execute(source, filename, namespace, 0)
    while (piece := streaming.next_statements()) is not None:
        source += piece
        _announce(piece)
        if piece.strip():
            done = _execute(source, filename, namespace, done)
    for finish in (*on_program_end, _flush_wrapped):
        finish()
    value = final_value.take_value(namespace, allow_assigned=allow_assigned)
    if "matplotlib.pyplot" in sys.modules:
        from .show.figures import without_artists

        value = without_artists(value)
    value = final_value.read_lazy(_await_value(value))
    value = final_value.read_lazy(_await_value(value))  # an iterator may have returned coroutines
    if value is not None:
        namespace["_"] = value
    return value


def _announce(source: str) -> None:
    for hook in list(source_hooks):
        hook(source)


def _execute(source: str, filename: str, namespace: dict[str, Any], done: int) -> int:
    """Run the statements after the first `done`, and return the new number of statements."""
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    tree = scheduler.rewrite(source, filename, is_continued=done > 0)
    count = len(tree.body)
    tree.body = tree.body[done:]
    if not tree.body:
        return count
    final_value.keep_value(tree.body)
    code: CodeType = compile(tree, filename, "exec", flags=_TOP_LEVEL_AWAIT, dont_inherit=True)
    final_value.take_value(namespace, allow_assigned=False)
    if code.co_flags & _COROUTINE:
        _run_async(_await_program(eval(code, namespace), namespace))
    else:
        exec(code, namespace)
    return count


def _await_value(value: Any) -> Any:
    return _run_async(final_value.await_parts(value)) if final_value.needs_await(value) else value


async def _await_program(program: Any, namespace: dict[str, Any]) -> None:
    """Await a program, and then its value while the event loop is still running."""
    await program
    for name in final_value.VALUE_NAMES:
        if final_value.needs_await(value := namespace.get(name)):
            namespace[name] = await final_value.await_parts(value)
    from .event_loop import finish_tasks

    await finish_tasks()


def _run_async(coroutine: Any) -> Any:
    import asyncio

    return asyncio.run(coroutine)


def _describe_value(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    try:
        data = to_sendable(value)
        json.dumps(data, ensure_ascii=False).encode()
    except Exception:  # no JSON form, or the value's own code raises
        return {"text": _truncate(_repr(value), _MAX_TEXT)}
    return {"value": data, "is_json": True, "text": _truncate(_repr(value), _MAX_TEXT)}


def _report(outcome: dict[str, Any]) -> None:
    try:
        host("result", **outcome)
    except (RuntimeError, MemoryError) as error:  # most likely too large: report it without the value
        text = f"{(outcome['text'] or '')[:200]}… ({str(error) or 'too large'})"
        host(
            "result", **{**outcome, "value": None, "is_json": False, "text": text, "observed": outcome["observed"][:1]}
        )


def _describe_failure(error: BaseException) -> dict[str, Any]:
    if isinstance(error, SystemExit):
        return _failure_fields("SystemExit", f"the program called sys.exit({_repr(error.code)})", "", error)
    try:
        message = str(error)
    except BaseException:
        message = "(its text cannot be shown)"
    if isinstance(error, KeyError):
        from .error_hints import note_keys

        note_keys(error)
    return _failure_fields(type(error).__name__, message, _format_traceback(error), error)


def _failure_fields(kind: str, message: str, text: str, error: BaseException) -> dict[str, Any]:
    return {
        "kind": _truncate(kind, 100),
        "message": _truncate(_escape_surrogates(message), 2_000),
        "traceback": _truncate(_escape_surrogates(text), _MAX_TEXT),
        "line": _find_line(error),
    }


def _format_traceback(error: BaseException) -> str:
    """Format the traceback as Python does, without our own frames and those of the event loop."""
    try:
        import traceback

        report = traceback.TracebackException(type(error), error, error.__traceback__, compact=True)
        seen: set[int] = set()
        entries: list[Any] = [report]
        while entries:
            entry = entries.pop()
            if entry is None or id(entry) in seen:
                continue
            seen.add(id(entry))
            ours = [frame.filename.startswith(PROGRAM) for frame in entry.stack]
            first = ours.index(True) if True in ours else len(ours)
            entry.stack = traceback.StackSummary.from_list(
                [frame for frame in entry.stack[first:] if not frame.filename.startswith("<codeact")]
            )
            entries += [entry.__cause__, entry.__context__]
        return "".join(report.format())
    except BaseException:  # a hostile __str__, or no memory left to format the report
        return ""


def _find_line(error: BaseException) -> int | None:
    line = error.lineno if isinstance(error, SyntaxError) else None
    step: TracebackType | None = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename.startswith(PROGRAM):
            line = step.tb_lineno
        step = step.tb_next
    return line


def _repr(value: Any) -> str:
    try:
        return _escape_surrogates(repr(value))
    except BaseException as error:
        if isinstance(value, int):  # more digits than Python prints
            return f"<an integer of {value.bit_length():,} bits: {error}>"
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"


def _escape_surrogates(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _truncate(text: str, max_length: int) -> str:
    if len(text) <= max_length:
        return text
    return f"{text[: max_length // 2]} … {len(text) - max_length:,} characters left out … {text[-max_length // 2 :]}"


def _flush_wrapped() -> None:
    """Flush the objects that the program put around the streams, such as `io.TextIOWrapper(sys.stdout.buffer)`."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not _stdout and stream is not _stderr and hasattr(stream, "flush"):
            stream.flush()


def _flush() -> None:
    _stdout.flush()
    _stderr.flush()


flush_hooks.append(_flush)
sleep_hooks.append(_flush)
