"""What an endpoint may send, and where a prompt may go."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import aclosing, suppress
from itertools import repeat

import openai
import pytest

from codeact_kernel.errors import ModelError
from codeact_kernel.model import bounded_http, openai_client
from codeact_kernel.model.base import Message
from codeact_kernel.model.bounded_http import ANSWER_BYTES, ERROR_BYTES, EVENT_BYTES, EVENT_LINES, AnswerReader
from codeact_kernel.model.http_errors import Endpoint, Failure, explain
from codeact_kernel.model.openai_client import OpenAIClient
from codeact_kernel.model.stream_accumulator import StreamAccumulator
from codeact_kernel.settings import Limits

from .hostile import CASES, MIB, SILENT, Case, Replies, bomb, chunk, error_body, head, long_line, measured, serving

KEY = "sk-secret-1234567890"
ASK = "Who spent the most?"
SHORT = Limits(model_seconds=0.3)
MOST = 60_000_000
AZURE = {"azure_version": "2024-10-21"}
REDIRECTS = ("301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect")


@pytest.fixture(autouse=True)
def tries_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses of the SDK between its tries are not what is tested here."""
    monkeypatch.setattr(openai_client, "RETRIES", 0)


def ask(client: OpenAIClient) -> str:
    async def collect() -> str:
        async with aclosing(client.stream((Message("user", ASK),))) as deltas:
            return "".join([delta.text async for delta in deltas])

    return asyncio.run(collect())


def client_of(url: str, limits: Limits | None = None, **options: str) -> OpenAIClient:
    return OpenAIClient("coder", base_url=url, api_key=KEY, limits=limits, **options)


def answer_of(reply: Replies) -> str:
    with serving(reply) as endpoint:
        return ask(client_of(endpoint.url))


def failure_of(client: OpenAIClient) -> str:
    """What a failed prompt says: one printable line, and the key is not in it, nor in its chain."""
    with pytest.raises(ModelError) as caught:
        ask(client)
    assert str(caught.value).isprintable()
    assert KEY not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def whole(*parts: bytes) -> Replies:
    return lambda: iter(parts)


def answer(*parts: bytes) -> Replies:
    return whole(head(), *parts, chunk("stop"), b"data: [DONE]\n\n")


def page_of(models: Sequence[str], more: bytes = b"") -> bytes:
    return json.dumps({"data": [{"id": name} for name in models]}).encode()[:-2] + more + b"]}"


async def ask_without_bounds(url: str) -> None:
    """Ask as the openai package does it by itself."""
    async with openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0) as client:
        with suppress(openai.OpenAIError, ValueError):
            stream = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": ASK}], stream=True
            )
            async for _ in stream:
                pass


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_reply_ends_in_one_sentence_and_takes_little_memory(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "ANSWER_BYTES", 8 * MIB)
    with measured() as memory, serving(case.reply) as endpoint:
        client = client_of(endpoint.url, SHORT if case.says == SILENT else None)
        if case.says:
            assert case.says in failure_of(client)
        else:
            assert ask(client) == "hi"
    assert memory.peak < MOST


@pytest.mark.parametrize("reply", [lambda: long_line(60 * MIB), lambda: error_body(60 * MIB), lambda: bomb(60 * MIB)])
def test_without_the_bounds_the_same_replies_take_the_memory(reply: Replies) -> None:
    with measured() as memory, serving(reply) as endpoint:
        asyncio.run(ask_without_bounds(endpoint.url))
    assert memory.peak > MOST


def test_azure_is_bounded_in_the_same_way() -> None:
    with measured() as memory, serving(long_line) as endpoint:
        assert "as one piece of an answer" in failure_of(client_of(endpoint.origin, **AZURE))
    assert memory.peak < MOST


def test_an_endpoint_behind_a_proxy_of_the_environment_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    with measured() as memory, serving(long_line) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.origin)
        assert "as one piece of an answer" in failure_of(client_of("http://model.invalid/v1"))
    assert memory.peak < MOST
    assert proxy.requests[0][0].startswith("POST http://model.invalid/v1/chat/completions ")


def models_of(reply: Replies) -> list[str]:
    with serving(reply) as endpoint:
        return asyncio.run(client_of(endpoint.url).models())


def test_a_list_of_models_that_is_too_long_is_not_read() -> None:
    def reply() -> Iterator[bytes]:
        yield head(kind="application/json") + b'{"data": [{"id": "a"}'
        yield from repeat(b',{"id": "a"}' * 5_000, 4_000)

    with measured() as memory, pytest.raises(ModelError, match=r"longer than 1\.5 MiB: set CODEACT_MODEL to the model"):
        models_of(reply)
    assert memory.peak < MOST


def test_a_list_of_models_that_is_just_short_enough_takes_little_memory() -> None:
    page = page_of(["a"], b',{"":0}' * (3 * MIB // 2 // 7 - 10))
    with measured() as memory:
        assert models_of(whole(head(kind="application/json"), page)) == ["a"]
    assert memory.peak < MOST


@pytest.mark.parametrize("page", [b"[]", b"7", b'{"data": 7}', b'{"data": [7, {}, {"id": 7}, {"id": ""}]}'])
def test_a_list_of_models_of_an_odd_shape_offers_none(page: bytes) -> None:
    assert models_of(whole(head(kind="application/json"), page)) == []


@pytest.mark.parametrize("status", ["200 OK", "302 Found", "400 Bad Request", "503 Busy"])
def test_nothing_that_is_compressed_is_unpacked(status: str) -> None:
    with measured() as memory, serving(lambda: bomb(status=status)) as endpoint:
        sentence = failure_of(client_of(endpoint.url))
    assert memory.peak < MOST
    assert ("turn compression off" in sentence) == (status == "200 OK")
    assert status == "200 OK" or status[:3] in sentence


def test_answers_are_asked_for_uncompressed() -> None:
    with serving(answer(chunk(content="hi"))) as endpoint:
        assert ask(client_of(endpoint.url)) == "hi"
    assert "accept-encoding: identity" in endpoint.requests[0][0].lower().splitlines()


@pytest.mark.parametrize("encoding", ["identity", "utf-8", "none"])
def test_an_encoding_that_is_no_compression_does_not_matter(encoding: str) -> None:
    body = chunk(content="hi") + b"data: [DONE]\n\n"
    assert answer_of(whole(head(content_encoding=encoding), body)) == "hi"


def test_a_compressed_answer_says_what_to_do() -> None:
    packed = gzip.compress(chunk(content="hi") + b"data: [DONE]\n\n")
    with serving(whole(head(content_encoding="gzip"), packed)) as endpoint:
        assert failure_of(client_of(endpoint.url)) == (
            f"{endpoint.url} compressed its answer although it was asked not to: "
            "turn compression off there, or in the proxy in front of it."
        )


def test_the_status_of_a_long_error_page_is_still_reported() -> None:
    body = b"<html>" + b"x" * (2 * ERROR_BYTES)
    with serving(whole(head("401 Unauthorized", "text/html"), body)) as endpoint:
        assert "did not accept the API key (401)" in failure_of(client_of(endpoint.url))


def test_a_whole_answer_in_one_piece_is_read() -> None:
    text = "a" * (EVENT_BYTES - 1_000)
    assert answer_of(answer(chunk(content=text))) == text


def test_a_long_answer_in_small_pieces_is_read() -> None:
    pieces = repeat(chunk(content="abcd", padding="x" * 500) * 100, 200)
    assert answer_of(answer(*pieces)) == "abcd" * 20_000


def test_a_long_refusal_is_cut_off() -> None:
    with serving(answer(*repeat(chunk(refusal="no " * 1_000), 10))) as endpoint:
        sentence = failure_of(client_of(endpoint.url))
    assert sentence.startswith("coder refused (no no no")
    assert len(sentence) < 400


def slowly(*parts: bytes) -> Replies:
    """Each part a while after the last."""

    def reply() -> Iterator[bytes]:
        pause = threading.Event()
        for part in parts:
            yield part
            pause.wait(0.3)

    return reply


def test_an_endpoint_that_thinks_or_writes_is_not_silent() -> None:
    pieces = [chunk(**{field: "a"}) for field in ("reasoning", "content", "reasoning_content", "content") * 2]
    with serving(slowly(head(), *pieces)) as endpoint:
        assert ask(client_of(endpoint.url, Limits(model_seconds=1.5))) == "aaaa"


def test_comments_and_empty_pieces_before_an_answer_do_no_harm() -> None:
    pieces = (head(), b": ping\n\n" * 9, chunk(role="assistant", content=""), chunk(content="hi"))
    assert answer_of(whole(*pieces)) == "hi"


def test_comments_and_empty_pieces_do_not_end_the_silence() -> None:
    pieces = [b": ping\n\n", chunk(role="assistant", content="")] * 5
    with serving(slowly(head(), *pieces)) as endpoint:
        assert "was silent for 0.6 seconds" in failure_of(client_of(endpoint.url, Limits(model_seconds=0.6)))


@pytest.mark.parametrize(
    ("delta", "is_part"),
    [
        ({"content": "a"}, True),
        ({"content": [{"type": "thinking"}]}, True),
        ({"reasoning": "a"}, True),
        ({"reasoning_content": "a"}, True),
        ({"reasoning_details": [{}]}, True),
        ({"refusal": "a"}, True),
        ({"tool_calls": [{}]}, True),
        ({"role": "assistant", "content": ""}, False),
        ({"content": None, "tool_calls": [], "refusal": None, "reasoning": ""}, False),
        ({}, False),
        ([], False),
        (None, False),
    ],
)
def test_a_chunk_is_a_part_of_an_answer_if_something_is_in_it(delta: object, is_part: bool) -> None:
    accumulator = StreamAccumulator()
    assert (accumulator.take({"choices": [{"delta": delta}]}) is not None) == is_part
    assert accumulator.take({"choices": [{"delta": delta, "finish_reason": "stop"}]}) is not None
    assert accumulator.take({"usage": {"prompt_tokens": 1, "completion_tokens": 1}}) is not None


@pytest.mark.parametrize("blank_line", [b"\n\n", b"\r\r", b"\r\n\r\n"])
@pytest.mark.parametrize("size", [1_000, 1_001, 1_003, 65_536])
def test_where_the_network_cuts_an_event_does_not_matter(blank_line: bytes, size: int) -> None:
    reader = AnswerReader("url")
    stream = (b"data: " + b"a" * 1_000 + blank_line) * (3 * EVENT_BYTES // 1_000)
    for start in range(0, len(stream), size):
        assert reader.read(stream[start : start + size])


@pytest.mark.parametrize(
    "blank_line", [(b"\n", b"\n"), (b"\r", b"\r"), (b"\r", b"\n", b"\r", b"\n"), (b"\r\n", b"\r\n")]
)
def test_a_blank_line_that_comes_in_parts_ends_an_event(blank_line: tuple[bytes, ...]) -> None:
    reader = AnswerReader("url")
    for _ in range(3 * EVENT_LINES):
        for part in (b"data: " + b"a" * 1_000, *blank_line):
            assert reader.read(part) == part


@pytest.mark.parametrize(
    ("part", "most"), [(b"a" * 65_536, EVENT_BYTES // 65_536), (b"a\n", EVENT_LINES), (b"a\r\n", EVENT_LINES // 2)]
)
def test_an_event_ends_at_its_bound(part: bytes, most: int) -> None:
    reader = AnswerReader("url")
    for _ in range(most):
        reader.read(part)
    with pytest.raises(ModelError, match="as one piece of an answer"):
        reader.read(part)


def test_an_answer_ends_at_its_bound() -> None:
    reader = AnswerReader("url")
    for _ in range(ANSWER_BYTES // 65_536):
        reader.read(b"a" * 65_534 + b"\n\n")
    with pytest.raises(ModelError, match="ask for less at a time"):
        reader.read(b"a")


@pytest.mark.parametrize("status", REDIRECTS)
def test_no_redirect_takes_a_prompt_to_another_address(status: str) -> None:
    with serving(answer(chunk(content="hi"))) as other:
        location = f"{other.origin.replace('127.0.0.1', 'localhost')}/v1/chat/completions"
        with serving(whole(head(status, location=location))) as endpoint:
            sentence = failure_of(client_of(endpoint.url))
    assert len(endpoint.requests) == 1
    assert other.requests == []
    target = location.removesuffix("/chat/completions")
    assert sentence == (
        f"{endpoint.url} redirects to {target}, but prompts are sent only to the address that you set: "
        "if the new address is right, set OPENAI_BASE_URL to it."
    )


def test_without_the_bounds_a_redirect_takes_the_prompt_along() -> None:
    with serving(answer(chunk(content="hi"))) as other:
        location = f"{other.origin.replace('127.0.0.1', 'localhost')}/v1/chat/completions"
        with serving(whole(head("307 Temporary Redirect", location=location))) as endpoint:
            asyncio.run(ask_without_bounds(endpoint.url))
    assert ASK in str(other.prompts)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://model.example/v1/chat/completions?token=hunter2", "https://model.example/v1"),
        ("http://me:hunter2@model.example:80/v1/", "http://model.example:80/v1"),
        ("//model.example/v2", "http://model.example/v2"),
        ("/v2/chat/completions/", "http://here.example/v2"),
        ("https://here.example/openai/deployments/coder/chat/completions?api-version=1", "https://here.example"),
        (f"http://model.example/{KEY}", "http://model.example/[key]"),
        ("http://model.example/" + "a" * 500, "another address"),
        ("http://model.example/ is the right one. Trust it", "another address"),
        ("http://mod\u0435l.example/v1", "another address"),
        ("http://model.example/\u202e1v", "another address"),
        ("http://model.example:port/", "another address"),
        ("ftp://model.example/v1", "another address"),
        ("http://[broken", "another address"),
        ("javascript:alert(1)", "another address"),
    ],
)
def test_where_a_redirect_points_to_is_shown_without_what_is_secret_or_misleads(location: str, target: str) -> None:
    endpoint = Endpoint(model="coder", url="http://here.example/v1", key=KEY)
    sentence = str(explain(endpoint, Failure(status=307, location=location)))
    assert sentence.startswith(f"http://here.example/v1 redirects to {target}, but prompts")
    assert "hunter2" not in sentence


def test_the_list_of_models_is_not_looked_for_elsewhere_either() -> None:
    with serving(whole(head(kind="application/json"), page_of(["a"]))) as other:
        reply = whole(head("302 Found", location=f"{other.url}/models"))
        with serving(reply) as endpoint, pytest.raises(ModelError, match=f"redirects to {other.url}, but"):
            asyncio.run(client_of(endpoint.url).models())
    assert other.requests == []


def test_a_redirect_of_azure_names_the_variable_of_azure() -> None:
    location = "https://other.example/openai/deployments/coder/chat/completions?api-version=1"
    with serving(whole(head("307 Temporary Redirect", location=location))) as endpoint:
        sentence = failure_of(client_of(endpoint.origin, **AZURE))
    assert "redirects to https://other.example, but" in sentence
    assert sentence.endswith("set AZURE_OPENAI_ENDPOINT to it.")


def test_a_redirect_without_a_location_is_an_answer_that_cannot_be_used() -> None:
    with serving(whole(head("304 Not Modified"))) as endpoint:
        assert "did not accept the request (304" in failure_of(client_of(endpoint.url))


def test_only_the_key_that_is_configured_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin-1234567890")
    with serving(answer(chunk(content="hi"))) as endpoint:
        assert ask(client_of(endpoint.url)) == "hi"
    assert f"authorization: bearer {KEY}" in endpoint.requests[0][0].lower().splitlines()
    assert "sk-admin" not in str(endpoint.requests)
