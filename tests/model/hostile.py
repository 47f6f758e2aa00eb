"""A model endpoint that sends whatever a test wants, byte by byte, and a measure of the memory that it takes."""

from __future__ import annotations

import json
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

__all__ = [
    "CASES", "MIB", "SILENT", "Case", "HostileEndpoint", "Memory", "Replies", "blocks", "bomb", "chunk", "error_body", "head",
    "long_line", "measured", "serving",
]  # fmt: skip

MIB = 1 << 20
BLOCK = b"a" * (64 << 10)

Replies = Callable[[], Iterable[bytes]]


@dataclass
class HostileEndpoint:
    """Answers every request with the same parts. `requests` has the head and the body of each."""

    reply: Replies
    requests: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.origin = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        self.url = f"{self.origin}/v1"

    def accept(self) -> None:
        with suppress(OSError):  # which it raises when it is closed
            while not self.stopped.is_set():
                connection = self.server.accept()[0]
                threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the client hangs up
            connection.settimeout(10)
            with connection.makefile("rb") as file:
                lines = list(iter(lambda: file.readline().strip(), b""))
                length = next((int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), 0)
                if lines:
                    self.requests.append((b"\n".join(lines).decode(), file.read(length)))
            for part in self.reply():
                if self.stopped.is_set():
                    return
                connection.sendall(part)

    @property
    def prompts(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.requests if body]


@contextmanager
def serving(reply: Replies) -> Iterator[HostileEndpoint]:
    endpoint = HostileEndpoint(reply)
    thread = threading.Thread(target=endpoint.accept, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.stopped.set()
        with suppress(OSError):
            socket.create_connection(endpoint.server.getsockname()).close()
        thread.join()
        endpoint.server.close()


def head(status: str = "200 OK", kind: str = "text/event-stream", **headers: str) -> bytes:
    """The beginning of a reply. In the names of `headers`, `_` stands for `-`."""
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def chunk(finish: str | None = None, **delta: object) -> bytes:
    return (
        b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).encode() + b"\n\n"
    )


def blocks(size: int) -> Iterator[bytes]:
    return repeat(BLOCK, size // len(BLOCK))


def refusals() -> Iterator[bytes]:
    # Smaller than what one event may have: only their number is too large.
    piece = chunk(refusal="a" * 1_000_000)
    yield head()
    yield from repeat(piece, 300)


def long_line(size: int = 200 * MIB) -> Iterator[bytes]:
    yield head() + b'data: {"choices": [{"delta": {"content": "'
    yield from blocks(size)
    yield b'"}}]}\n\ndata: [DONE]\n\n'


def wide_line() -> Iterator[bytes]:
    yield head() + 'data: {"choices": [{"delta": {"content": "😀'.encode()
    yield from blocks(20 * MIB)


def lines() -> Iterator[bytes]:
    yield head()
    yield from repeat(b"x\n" * 10_000, 400)


def objects() -> Iterator[bytes]:
    """A list of hundreds of thousands of objects in an event that is not too large."""
    yield head() + b'data: {"choices": [{}' + b',{"":0}' * 140_000 + b"]}\n\n" + chunk("stop", content="hi")


def bomb(size: int = 800 * MIB, status: str = "200 OK") -> Iterator[bytes]:
    packer = zlib.compressobj(9, wbits=31)
    yield head(status, content_encoding="gzip")
    yield packer.compress(b"data: ")
    for block in blocks(size):
        yield packer.compress(block)
    yield packer.flush()


def error_body(size: int = 300 * MIB) -> Iterator[bytes]:
    yield head("400 Bad Request", "application/json") + b'{"error": {"message": "'
    yield from blocks(size)
    yield b'"}}'


def without_end(piece: bytes) -> Replies:
    def reply() -> Iterator[bytes]:
        yield head()
        yield from repeat(piece * (1 + 4096 // len(piece)))

    return reply


def headers() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nretry-after-ms: 1\r\nx-long: "
    yield from blocks(100 * MIB)


def hints() -> Iterator[bytes]:
    yield from repeat(b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" * 100)


@dataclass(frozen=True)
class Case:
    """One hostile reply to a prompt.

    Attributes:
        tries: in words, for the table of attempts.
        says: a part of the sentence that the user gets; empty where an answer is found all the same.
    """

    name: str
    tries: str
    reply: Replies
    says: str = ""


TOO_LARGE, TOO_LONG, SILENT = "1 MiB, or 1,000 lines, as one piece", "MiB in one answer", "was silent for"
CASES = [
    Case("refusals", "refuses in 300 pieces of a megabyte", refusals, TOO_LONG),
    Case("line", "sends one line of 200 MB", long_line, TOO_LARGE),
    Case("wide-line", "sends one line that needs four bytes for each character", wide_line, TOO_LARGE),
    Case("lines", "sends one event with millions of lines", lines, TOO_LARGE),
    Case("objects", "sends an event with 140,000 objects", objects),
    Case("bomb", "sends 800 MB that are compressed to less than one", bomb, "compressed its answer"),
    Case("error", "sends 300 MB of an error", error_body, "did not accept the request (400"),
    Case("empty", "sends endless pieces without text", without_end(chunk(content="")), SILENT),
    Case("small", "sends the smallest possible pieces forever", without_end(b"data: 1\n\n"), SILENT),
    Case("comments", "sends endless comments that keep the connection open", without_end(b": ping\n\n"), SILENT),
    Case("hints", "sends endless interim responses", hints, SILENT),
    Case("reasoning", "reasons forever", without_end(chunk(reasoning_content="a" * 9_999)), TOO_LONG),
    Case(
        "arguments",
        "calls a function with endless arguments",
        without_end(chunk(tool_calls=[{"index": 0, "function": {"name": "f" * 99, "arguments": "a" * 9_999}}])),
        TOO_LONG,
    ),
    Case("headers", "sends a header of 100 MB", headers, "No connection to"),
]


@dataclass
class Memory:
    """The most that was allocated at one time, in bytes."""

    peak: int = 0


@contextmanager
def measured() -> Iterator[Memory]:
    """Measure the allocations inside. Unlike the size of the process, they do not depend on what ran before."""
    memory = Memory()
    tracemalloc.start()
    try:
        yield memory
    finally:
        memory.peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
