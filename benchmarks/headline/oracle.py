"""A model that is always right: an endpoint of this machine that speaks OpenAI's Chat Completions.

It says what `policy` says, at the pace that it is told (seconds to the first token, then tokens by the second; streamed
token by token to who asks for a stream), and counts tokens. THE RULE, for all arms: o200k_base; each message, asked or
answered, is its JSON text (compact, not escaped to ASCII) plus 4; the definitions of tools and the schema of the answer
that a request carries are their JSON text.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import bpe_openai
from policy import reply


@dataclass(frozen=True)
class Pace:
    """How fast the model is. The default is what is measured with; `Pace(0, 0)` does not wait at all."""

    first_token: float = 0.4
    tokens_per_second: float = 80.0

    def seconds(self, tokens: int) -> float:
        """From the request to the last of so many tokens."""
        return self.first_token + (tokens / self.tokens_per_second if self.tokens_per_second else 0.0)


@dataclass
class Counted:
    """What one run cost.

    Attributes:
        prompt, completion: tokens, by the rule.
        text: all tokens by another rule, for comparison: the texts in the messages (contents, names and arguments of
            calls) without their JSON around them, plus 4 each.
        schema: the part of `prompt` that is the schema of the answer.
        seconds: what the model took at its pace; it was not waited for where the run says so.
    """

    turns: int = 0
    prompt: int = 0
    completion: int = 0
    text: int = 0
    schema: int = 0
    seconds: float = 0.0


@cache
def encoding() -> Any:
    return bpe_openai.get_encoding("o200k_base")


def tokens(text: str) -> int:
    return len(encoding().encode(text))


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def texts(message: Mapping[str, Any]) -> list[str]:
    """The texts in a message: what a model reads and writes of it."""
    content = message.get("content") or ""
    found = [content] if isinstance(content, str) else [part.get("text", "") for part in content]
    for call in message.get("tool_calls") or ():
        found += [call["function"]["name"], call["function"]["arguments"]]
    return found


class Oracle:
    """The endpoint, on a thread of its own.

    Attributes:
        style: which of the programs it writes.
        pace: how fast it is.
        waits: whether who does not ask for a stream is made to wait; else the seconds are only counted.
        counted: since `begin`.
    """

    def __init__(self) -> None:
        self.begin("naive")
        encoding()
        self._loop = asyncio.new_event_loop()
        started: threading.Event = threading.Event()
        self.port = 0

        async def listen() -> None:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            started.set()

        def run() -> None:
            self._loop.create_task(listen())
            self._loop.run_forever()

        threading.Thread(target=run, daemon=True).start()
        started.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def begin(self, style: str, pace: Pace | None = None, *, waits: bool = True) -> None:
        """From here on another run is counted."""
        self.style, self.pace, self.waits, self.counted = style, pace or Pace(), waits, Counted()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Who has what they need hangs up in the middle of a stream: that is no error.
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = next((line for line in head.split("\r\n") if line.startswith("content-length:")), "0")
                body = await reader.readexactly(int(length.rpartition(":")[2]))
                if "/chat/completions" not in head.split("\r\n")[0]:
                    await self._whole(writer, {"object": "list", "data": [{"id": "oracle", "object": "model"}]})
                    continue
                await self._answer(writer, json.loads(body))
        writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, request: dict[str, Any]) -> None:
        start = time.perf_counter()
        message = reply(request, self.style)
        written = encoding().encode("".join(texts(message)))
        usage = self._count(request, message, len(written))
        finish = "tool_calls" if message.get("tool_calls") else "stop"
        about = {"id": "oracle", "model": "oracle", "created": int(time.time())}
        if not request.get("stream"):
            if self.waits:
                await asyncio.sleep(start + self.pace.seconds(len(written)) - time.perf_counter())
            choice = {"index": 0, "message": message, "finish_reason": finish}
            await self._whole(writer, {**about, "object": "chat.completion", "choices": [choice], "usage": usage})
            return
        assert finish == "stop", "what calls tools is not streamed here"

        async def chunks() -> AsyncIterator[dict[str, Any]]:
            for place, token in enumerate(written, 1):
                await asyncio.sleep(start + self.pace.seconds(place) - time.perf_counter())
                yield {"choices": [{"index": 0, "delta": {"content": encoding().decode([token])}}]}
            yield {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
            if (request.get("stream_options") or {}).get("include_usage"):
                yield {"choices": [], "usage": usage}

        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        async for chunk in chunks():
            self._piece(writer, compact({**about, "object": "chat.completion.chunk", **chunk}))
            await writer.drain()
        self._piece(writer, "[DONE]")
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    def _count(self, request: dict[str, Any], message: dict[str, Any], written: int) -> dict[str, int]:
        tools, schema = (
            tokens(compact(request[name])) if request.get(name) else 0 for name in ("tools", "response_format")
        )
        definitions = tools + schema
        messages = request["messages"]
        prompt = definitions + sum(tokens(compact(one)) + 4 for one in messages)
        completion = tokens(compact(message)) + 4
        self.counted.turns += 1
        self.counted.prompt += prompt
        self.counted.schema += schema
        self.counted.completion += completion
        self.counted.text += definitions + written + 4 + sum(tokens("".join(texts(one))) + 4 for one in messages)
        self.counted.seconds += self.pace.seconds(written)
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    @staticmethod
    def _piece(writer: asyncio.StreamWriter, data: str) -> None:
        event = f"data: {data}\n\n".encode()
        writer.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")

    @staticmethod
    async def _whole(writer: asyncio.StreamWriter, answer: object) -> None:
        body = compact(answer).encode()
        writer.write(
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        writer.write(body)
        await writer.drain()
