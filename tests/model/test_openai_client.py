from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import traceback
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import pytest

from codeact_kernel.errors import ModelError
from codeact_kernel.model.base import Delta, Message
from codeact_kernel.model.openai_client import OpenAIClient
from codeact_kernel.model.usage import estimate
from codeact_kernel.settings import Limits
from codeact_kernel.types import Usage

if TYPE_CHECKING:
    from .conftest import FakeEndpoint

KEY = "sk-secret-1234567890"
MESSAGES = (Message("system", "Write Python."), Message("user", "Who spent the most?"))


def ask(client: OpenAIClient) -> list[Delta]:
    async def collect() -> list[Delta]:
        async with aclosing(client.stream(MESSAGES)) as deltas:
            return [delta async for delta in deltas]

    return asyncio.run(collect())


def client_of(endpoint: FakeEndpoint, limits: Limits | None = None) -> OpenAIClient:
    return OpenAIClient("coder", base_url=endpoint.url, api_key=KEY, limits=limits)


def failure(endpoint: FakeEndpoint, limits: Limits | None = None) -> ModelError:
    """The error of an ask, with what must hold for each: printable, one line, no key, not even in its chain."""
    with pytest.raises(ModelError) as caught:
        ask(client_of(endpoint, limits))
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert str(caught.value).isprintable()
    return caught.value


def plain_answer(endpoint: FakeEndpoint) -> bytes:
    return endpoint.stream(endpoint.chunk("Al"), endpoint.chunk("ice"), endpoint.chunk(finish="stop"))


def test_an_answer_arrives_in_pieces_and_ends_with_the_usage(endpoint: FakeEndpoint) -> None:
    endpoint.answers(
        endpoint.stream(
            endpoint.chunk("", role="assistant"),
            endpoint.chunk("Al"),
            endpoint.chunk("ice"),
            endpoint.chunk(finish="stop"),
            endpoint.usage(12, 3),
        )
    )
    *texts, last = ask(client_of(endpoint))
    assert [delta.text for delta in texts] == ["Al", "ice"]
    assert last == Delta(usage=Usage(prompt_tokens=12, completion_tokens=3), finish="stop")


def test_the_endpoint_gets_the_messages_the_key_and_a_wish_for_usage(endpoint: FakeEndpoint) -> None:
    endpoint.answers(plain_answer(endpoint))
    ask(client_of(endpoint))
    (request,) = endpoint.prompts
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body == {
        "model": "coder",
        "messages": [
            {"role": "system", "content": "Write Python."},
            {"role": "user", "content": "Who spent the most?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
    }


def test_usage_is_estimated_when_the_endpoint_tells_none(endpoint: FakeEndpoint) -> None:
    endpoint.answers(plain_answer(endpoint))
    assert ask(client_of(endpoint))[-1].usage == estimate(MESSAGES, "Alice")


def test_an_option_that_the_endpoint_refuses_is_left_out_from_then_on(endpoint: FakeEndpoint) -> None:
    endpoint.fails(400, "Unsupported value: 'temperature' does not support 0", param="temperature")
    endpoint.fails(400, "unknown field include_usage")
    endpoint.answers(plain_answer(endpoint))
    client = client_of(endpoint)
    ask(client)
    ask(client)
    wishes = [{"stream_options", "temperature"} & set(request.body) for request in endpoint.prompts]
    assert wishes == [{"stream_options", "temperature"}, {"stream_options"}, set(), set()]


def ask_for_little(client: OpenAIClient) -> list[Delta]:
    async def collect() -> list[Delta]:
        return [delta async for delta in client.stream(MESSAGES, max_tokens=70)]

    return asyncio.run(collect())


def test_an_answer_is_limited_by_the_name_of_the_option_that_the_endpoint_takes(endpoint: FakeEndpoint) -> None:
    endpoint.answers(plain_answer(endpoint))
    ask_for_little(client_of(endpoint))
    assert endpoint.prompts[0].body["max_tokens"] == 70
    assert "max_completion_tokens" not in endpoint.prompts[0].body


def test_an_endpoint_that_takes_only_the_new_name_is_asked_again_with_it(endpoint: FakeEndpoint) -> None:
    endpoint.fails(400, "Unsupported parameter: use 'max_completion_tokens' instead.", param="max_tokens")
    endpoint.answers(plain_answer(endpoint))
    client = client_of(endpoint)
    ask_for_little(client)
    ask_for_little(client)
    names = [{"max_tokens", "max_completion_tokens"} & set(request.body) for request in endpoint.prompts]
    assert names == [{"max_tokens"}, {"max_completion_tokens"}, {"max_completion_tokens"}]


def test_an_endpoint_that_takes_neither_name_answers_without_a_limit(endpoint: FakeEndpoint) -> None:
    endpoint.fails(400, "unknown field max_tokens")
    endpoint.fails(422, "unknown field max_completion_tokens")
    endpoint.answers(plain_answer(endpoint))
    assert ask_for_little(client_of(endpoint))[-1].finish == "stop"
    assert not {"max_tokens", "max_completion_tokens"} & set(endpoint.prompts[-1].body)


def test_one_client_serves_several_event_loops(endpoint: FakeEndpoint) -> None:
    endpoint.answers(plain_answer(endpoint))
    client = client_of(endpoint)
    assert ask(client) == ask(client)


def test_stopping_early_hangs_up(endpoint: FakeEndpoint) -> None:
    hung_up = threading.Event()

    def wait_for_the_end(handler: BaseHTTPRequestHandler) -> None:
        if handler.rfile.read(1) == b"":
            hung_up.set()

    endpoint.answers(endpoint.stream(endpoint.chunk("print(1)"), done=False), afterwards=wait_for_the_end)

    async def read_one() -> str:
        async with aclosing(client_of(endpoint).stream(MESSAGES)) as deltas:
            return (await anext(deltas)).text

    assert asyncio.run(read_one()) == "print(1)"
    assert hung_up.wait(5)


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    endpoint.answers(plain_answer(endpoint))
    assert "".join(delta.text for delta in ask(client_of(endpoint))) == "Alice"


@pytest.mark.parametrize(
    ("status", "error", "retryable", "words"),
    [
        (401, {"message": f"Incorrect API key provided: {KEY}"}, False, "correct OPENAI_API_KEY"),
        (403, {"message": "no access"}, False, "ask for access"),
        (400, {"message": "Too long", "code": "context_length_exceeded"}, False, "longer than coder can read"),
        (400, {"message": "the request exceeds the available context size", "code": 400}, False, "longer than coder"),
        (400, {"message": "filtered", "code": "content_filter"}, False, "word it differently"),
        (400, {"message": f"bad\n\x1b[31m{KEY}. More"}, False, "did not accept the request (400"),
        (429, {"message": "slow down"}, True, "wait a minute"),
        (429, {"message": "x", "code": "insufficient_quota"}, False, "add credit"),
        (500, {"message": "oops"}, True, "wait a moment"),
        (503, {"message": "loading"}, True, "(503)"),
    ],
)
def test_an_http_failure_becomes_a_sentence_that_says_what_to_do(
    endpoint: FakeEndpoint, status: int, error: dict[str, object], retryable: bool, words: str
) -> None:
    endpoint.fails(status, **error)  # pyright: ignore[reportArgumentType]
    caught = failure(endpoint)
    assert words in str(caught)
    assert (caught.status, caught.retryable) == (status, retryable)


def test_a_server_error_is_tried_again_before_it_is_reported(endpoint: FakeEndpoint) -> None:
    endpoint.fails(503, "loading")
    endpoint.fails(429, "slow down")
    endpoint.answers(plain_answer(endpoint))
    assert "".join(delta.text for delta in ask(client_of(endpoint))) == "Alice"
    assert len(endpoint.prompts) == 3


def test_a_missing_key_is_asked_for(endpoint: FakeEndpoint) -> None:
    endpoint.fails(401, "who are you")
    with pytest.raises(ModelError, match=r"requires an API key \(401\): set OPENAI_API_KEY"):
        ask(OpenAIClient("coder", base_url=endpoint.url))


def test_an_unknown_model_is_answered_with_those_that_there_are(endpoint: FakeEndpoint) -> None:
    endpoint.fails(404, "model not found")
    endpoint.offers("one", "two")
    caught = failure(endpoint)
    assert str(caught) == f"{endpoint.url} does not offer the model coder: set CODEACT_MODEL to one of one, two."


def test_a_wrong_path_is_told_from_a_wrong_model_when_no_list_answers(endpoint: FakeEndpoint) -> None:
    endpoint.fails(404, "page not found")
    caught = failure(endpoint)
    assert "OPENAI_BASE_URL (most endpoints end in /v1)" in str(caught)
    assert caught.status == 404


def test_a_dead_endpoint_is_named_by_its_url() -> None:
    with socket.socket() as bound:
        # Bound but not listening: connections are refused, and nobody else can take the port meanwhile.
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        with pytest.raises(ModelError, match="start the model server") as caught:
            ask(OpenAIClient("coder", base_url=url))
    assert url in str(caught.value)
    assert caught.value.retryable


def test_silence_before_the_answer_ends_at_the_limit(endpoint: FakeEndpoint) -> None:
    endpoint.answers(b"", afterwards=endpoint.say_nothing)
    caught = failure(endpoint, Limits(model_seconds=0.3))
    assert "was silent for 0.3 seconds" in str(caught)
    assert caught.retryable


def test_silence_in_the_middle_ends_at_the_limit_too(endpoint: FakeEndpoint) -> None:
    body = endpoint.stream(endpoint.chunk("pri"), done=False)
    endpoint.answers(body, afterwards=endpoint.say_nothing)
    assert "was silent for 0.3 seconds" in str(failure(endpoint, Limits(model_seconds=0.3)))


@pytest.mark.parametrize("event", ["{not json", "\x00", '{"choices": [}'])
def test_a_stream_that_is_not_json_is_reported_as_such(endpoint: FakeEndpoint, event: str) -> None:
    endpoint.answers(endpoint.stream(endpoint.chunk("pri"), event))
    assert "see whether it is a Chat Completions endpoint" in str(failure(endpoint))


@pytest.mark.parametrize(
    "chunk",
    [
        "5",
        "null",
        '"text"',
        "[1]",
        {"choices": "many"},
        {"choices": [7]},
        {"choices": [{"delta": "text", "finish_reason": 5}]},
        {"choices": [{"delta": {"content": ["text"], "refusal": 3}}]},
        {"choices": None, "usage": {"prompt_tokens": "many", "completion_tokens": -1}},
    ],
)
def test_a_chunk_of_an_odd_shape_adds_nothing(endpoint: FakeEndpoint, chunk: object) -> None:
    endpoint.answers(endpoint.stream(chunk, endpoint.chunk("Alice", finish="stop")))
    *texts, last = ask(client_of(endpoint))
    assert [delta.text for delta in texts] == ["Alice"]
    assert last == Delta(usage=estimate(MESSAGES, "Alice"), finish="stop")


def test_a_connection_that_breaks_in_the_middle_is_reported(endpoint: FakeEndpoint) -> None:
    endpoint.answers(endpoint.stream(endpoint.chunk("pri"), done=False))
    endpoint.replies[0].headers["Content-Length"] = "100000"
    assert failure(endpoint).retryable


def test_an_error_inside_the_stream_is_reported_in_its_words_without_the_key(endpoint: FakeEndpoint) -> None:
    endpoint.answers(endpoint.stream(endpoint.chunk("pri"), {"error": {"message": f"out of memory {KEY}"}}))
    assert "gave up while it answered (out of memory [key])" in str(failure(endpoint))


def test_a_web_page_instead_of_a_stream_points_at_the_url(endpoint: FakeEndpoint) -> None:
    endpoint.answers(b"<html>Welcome</html>")
    assert "answered, but not with Chat Completions: correct OPENAI_BASE_URL" in str(failure(endpoint))


def test_a_refusal_is_reported_in_the_models_words(endpoint: FakeEndpoint) -> None:
    chunks = (endpoint.chunk(refusal="I can't "), endpoint.chunk(refusal="do that."), endpoint.chunk(finish="stop"))
    endpoint.answers(endpoint.stream(*chunks))
    assert str(failure(endpoint)) == "coder refused (I can't do that): word the prompt differently."


def test_a_filtered_answer_is_a_failure(endpoint: FakeEndpoint) -> None:
    endpoint.answers(endpoint.stream(endpoint.chunk("pri"), endpoint.chunk(finish="content_filter")))
    assert "content filter" in str(failure(endpoint))


def test_an_answer_that_was_cut_off_keeps_its_finish_reason(endpoint: FakeEndpoint) -> None:
    endpoint.answers(endpoint.stream(endpoint.chunk("pri"), endpoint.chunk(finish="length")))
    assert ask(client_of(endpoint))[-1].finish == "length"


def test_azure_is_asked_by_deployment_version_and_key(endpoint: FakeEndpoint) -> None:
    endpoint.answers(plain_answer(endpoint))
    ask(OpenAIClient("mine", base_url=endpoint.origin, api_key=KEY, azure_version="2024-10-21"))
    (request,) = endpoint.prompts
    assert request.path == "/openai/deployments/mine/chat/completions?api-version=2024-10-21"
    assert request.headers["api-key"] == KEY


def test_azure_failures_name_the_variables_of_azure(endpoint: FakeEndpoint) -> None:
    endpoint.fails(401, "no")
    with pytest.raises(ModelError, match="correct AZURE_OPENAI_API_KEY"):
        ask(OpenAIClient("mine", base_url=endpoint.origin, api_key=KEY, azure_version="2024-10-21"))


def test_the_password_in_a_url_is_not_shown(endpoint: FakeEndpoint) -> None:
    endpoint.fails(400, "no")
    url = endpoint.url.replace("//", "//me:hunter2@") + "?key=hunter2"
    with pytest.raises(ModelError, match=endpoint.url) as caught:
        ask(OpenAIClient("coder", base_url=url))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:8080", "", "ftp://x", "http://[", "http://h:port"])
def test_a_base_url_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ModelError, match="OPENAI_BASE_URL is not a URL"):
        OpenAIClient("coder", base_url=url)


@pytest.mark.parametrize("key", ["sk-…1234", "sk-12\n34"])
def test_a_key_that_cannot_be_one_is_refused_at_once_and_not_shown(key: str) -> None:
    with pytest.raises(ModelError, match="OPENAI_API_KEY has characters that are impossible in a key") as caught:
        OpenAIClient("coder", base_url="http://127.0.0.1:1", api_key=key)
    assert "34" not in str(caught.value)


def test_a_proxy_variable_that_is_no_proxy_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://127.0.0.1:9")
    with pytest.raises(
        ModelError, match=r"client cannot start .*: correct the proxy and OPENAI_ environment variables"
    ):
        ask(OpenAIClient("coder", base_url="https://example.invalid/v1"))


@pytest.mark.process
def test_importing_the_client_does_not_import_openai() -> None:
    code = (
        "import sys, codeact_kernel.model.discovery, codeact_kernel.model.recorded; "
        "sys.exit('openai' in sys.modules or 'pydantic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
