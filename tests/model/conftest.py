"""A Chat Completions endpoint on this machine: real HTTP, scripted answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One HTTP answer. `afterwards` runs when the body is written and before the connection closes."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    afterwards: Callable[[BaseHTTPRequestHandler], None] | None = None


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class FakeEndpoint:
    """Gives `replies` to the prompts in their order, the last one again and again, and `pages` to GET."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.pages: dict[str, Reply] = {}
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(self))
        self.origin = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.url = f"{self.origin}/v1"

    @property
    def prompts(self) -> list[Request]:
        return [request for request in self.requests if request.body]

    @staticmethod
    def stream(*events: object, done: bool = True) -> bytes:
        lines = [f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n" for event in events]
        return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()

    @staticmethod
    def chunk(text: str | None = None, finish: str | None = None, **delta: object) -> dict[str, object]:
        choice = {"index": 0, "delta": {"content": text, **delta}, "finish_reason": finish}
        return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}

    @staticmethod
    def usage(prompt: int, completion: int) -> dict[str, object]:
        counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        return {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [],
            "usage": counts,
        }

    def answers(self, body: bytes, **more: Any) -> None:
        self.replies.append(Reply(body=body, headers={"Content-Type": "text/event-stream"}, **more))

    def fails(self, status: int, message: str = "no", **error: object) -> None:
        body = json.dumps({"error": {"message": message, **error}}).encode()
        # The SDK's pauses between its tries are not what we test.
        headers = {"Content-Type": "application/json", "retry-after-ms": "1"}
        self.replies.append(Reply(status=status, body=body, headers=headers))

    def offers(self, *models: str) -> None:
        page = {"object": "list", "data": [{"id": name, "object": "model"} for name in models]}
        self.pages["/v1/models"] = Reply(body=json.dumps(page).encode(), headers={"Content-Type": "application/json"})

    def say_nothing(self, _: BaseHTTPRequestHandler) -> None:
        self.closing.wait(10)

    def reply_to(self, request: Request) -> Reply:
        self.requests.append(request)
        if not request.body:
            return self.pages.get(request.path, Reply(status=404, body=b"{}"))
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def lowered(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def handler_for(endpoint: FakeEndpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.give(Request(self.path, lowered(self.headers), {}))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.give(Request(self.path, lowered(self.headers), body))

        def give(self, request: Request) -> None:
            reply = endpoint.reply_to(request)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)
            self.wfile.flush()
            if reply.afterwards:
                reply.afterwards(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    served = FakeEndpoint()
    thread = threading.Thread(target=served.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.closing.set()
    served.server.shutdown()
    thread.join()
    served.server.server_close()
