from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

from codeact_kernel.errors import ModelError
from codeact_kernel.model.base import Message, ModelClient
from codeact_kernel.model.discovery import DEFAULT_MODEL, NoModelConfigured, choose_model, find_ollama_url
from codeact_kernel.settings import Settings

from .hostile import blocks, head, serving

if TYPE_CHECKING:
    from .conftest import FakeEndpoint


@pytest.fixture
def dead_host() -> Iterator[str]:
    with socket.socket() as bound:
        # Bound but not listening: connections are refused, and nobody else can take the port meanwhile.
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


def choose(environ: Mapping[str, str], model: str | None = None) -> ModelClient:
    return asyncio.run(choose_model(Settings(model=model), environ))


def first_text(model: ModelClient) -> str:
    async def collect() -> str:
        return "".join([delta.text async for delta in model.stream((Message("user", "Hello"),))])

    return asyncio.run(collect())


def pull(endpoint: FakeEndpoint, *names: str, **details: str) -> dict[str, str]:
    """Make the endpoint an Ollama, and return the environment that points at it."""
    from_ollama = {"models": [{"name": name, "details": details} for name in names]}
    serve(endpoint, json.dumps(from_ollama).encode())
    return {"OLLAMA_HOST": endpoint.origin}


def serve(endpoint: FakeEndpoint, body: bytes) -> None:
    endpoint.offers()
    endpoint.pages["/api/tags"] = type(endpoint.pages["/v1/models"])(body=body)


def test_without_any_configuration_the_error_names_three_ways(dead_host: str) -> None:
    with pytest.raises(NoModelConfigured) as caught:
        choose({"OLLAMA_HOST": dead_host})
    for way in ("OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "ollama pull"):
        assert way in str(caught.value)


def test_a_key_alone_means_openai_and_its_default_model() -> None:
    assert choose({"OPENAI_API_KEY": "k"}).name == DEFAULT_MODEL


def test_the_model_of_the_settings_is_asked_at_the_base_url(endpoint: FakeEndpoint) -> None:
    endpoint.answers(endpoint.stream(endpoint.chunk("hi", finish="stop")))
    model = choose({"OPENAI_BASE_URL": endpoint.url}, "mine")
    assert (model.name, model.note) == ("mine", "")
    assert first_text(model) == "hi"
    assert endpoint.prompts[0].body["model"] == "mine"


def test_the_only_model_of_an_endpoint_needs_no_name(endpoint: FakeEndpoint) -> None:
    endpoint.offers("lonely")
    assert choose({"OPENAI_BASE_URL": endpoint.url}).name == "lonely"


def test_of_several_models_the_user_must_name_one(endpoint: FakeEndpoint) -> None:
    endpoint.offers(*(f"m{number}" for number in range(10)))
    with pytest.raises(ModelError) as caught:
        choose({"OPENAI_BASE_URL": endpoint.url})
    assert str(caught.value) == (
        f"{endpoint.url} offers several models: set CODEACT_MODEL to one of m0, m1, m2, m3, m4, m5, m6, m7, …."
    )


def test_an_endpoint_without_models_says_so(endpoint: FakeEndpoint) -> None:
    endpoint.offers()
    with pytest.raises(ModelError, match="offers no model"):
        choose({"OPENAI_BASE_URL": endpoint.url})


def test_an_endpoint_that_lists_nothing_asks_for_the_name(endpoint: FakeEndpoint) -> None:
    with pytest.raises(ModelError, match=r"does not list its models \(404\): set CODEACT_MODEL"):
        choose({"OPENAI_BASE_URL": endpoint.url})


def test_a_dead_endpoint_without_a_model_name_is_named(dead_host: str) -> None:
    with pytest.raises(ModelError, match=f"No connection to http://{dead_host}/v1"):
        choose({"OPENAI_BASE_URL": f"http://{dead_host}/v1"})


@pytest.mark.parametrize("url", ["http://[", "here"])
def test_a_base_url_that_is_none_is_reported(url: str) -> None:
    with pytest.raises(ModelError, match="OPENAI_BASE_URL is not a URL"):
        choose({"OPENAI_BASE_URL": url})


def test_azure_comes_before_everything_else(endpoint: FakeEndpoint) -> None:
    endpoint.answers(endpoint.stream(endpoint.chunk("hi", finish="stop")))
    environ = {
        "AZURE_OPENAI_ENDPOINT": endpoint.origin,
        "AZURE_OPENAI_API_KEY": "k",
        "OPENAI_API_VERSION": "2024-10-21",
        "OPENAI_API_KEY": "other",
    }
    model = choose(environ, "deployment")
    assert model.name == "deployment"
    assert first_text(model) == "hi"
    assert endpoint.prompts[0].path.startswith("/openai/deployments/deployment/")


def test_azure_says_what_is_missing() -> None:
    with pytest.raises(ModelError) as caught:
        choose({"AZURE_OPENAI_ENDPOINT": "https://x.example", "AZURE_OPENAI_API_KEY": "k"})
    assert "OPENAI_API_VERSION and CODEACT_MODEL (the name of your deployment)" in str(caught.value)


def test_an_ollama_that_runs_is_found_and_its_latest_model_taken(endpoint: FakeEndpoint) -> None:
    endpoint.answers(endpoint.stream(endpoint.chunk("hi", finish="stop")))
    model = choose(pull(endpoint, "qwen2.5-coder:7b", "llama3:latest"))
    assert model.name == "qwen2.5-coder:7b (Ollama)"
    assert first_text(model) == "hi"
    assert endpoint.prompts[0].body["model"] == "qwen2.5-coder:7b"


def test_an_ollama_is_found_past_a_proxy(endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert choose(pull(endpoint, "a")).name == "a (Ollama)"


@pytest.mark.parametrize("wanted", ["llama3", "llama3:latest"])
def test_the_model_of_the_settings_is_taken_from_ollama(endpoint: FakeEndpoint, wanted: str) -> None:
    assert choose(pull(endpoint, "qwen:7b", "llama3:latest"), wanted).name == "llama3:latest (Ollama)"


def test_a_model_that_ollama_has_not_pulled_is_not_replaced_by_another(endpoint: FakeEndpoint) -> None:
    with pytest.raises(ModelError, match="run `ollama pull mine`, or set CODEACT_MODEL to one of a, b"):
        choose(pull(endpoint, "a", "b"), "mine")


def test_an_ollama_without_a_model_says_how_to_get_one(endpoint: FakeEndpoint) -> None:
    with pytest.raises(ModelError, match=r"run `ollama pull qwen2\.5-coder`"):
        choose(pull(endpoint))


def test_embedding_models_are_passed_over(endpoint: FakeEndpoint) -> None:
    assert choose(pull(endpoint, "nomic-embed-text:latest", "b")).name == "b (Ollama)"
    with pytest.raises(ModelError, match="has no model"):
        choose(pull(endpoint, "all-minilm", family="bert"))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"7", b'{"models": 7}', b'{"models": [{}]}', b"[" * 100_000])
def test_something_else_on_ollamas_port_is_no_ollama(endpoint: FakeEndpoint, body: bytes) -> None:
    serve(endpoint, body)
    with pytest.raises(NoModelConfigured):
        choose({"OLLAMA_HOST": endpoint.origin})


def test_no_redirect_is_followed_to_find_an_ollama(endpoint: FakeEndpoint) -> None:
    tags = pull(endpoint, "a")["OLLAMA_HOST"] + "/api/tags"
    with serving(lambda: [head("307 Temporary Redirect", location=tags)]) as other, pytest.raises(NoModelConfigured):
        choose({"OLLAMA_HOST": other.origin})
    assert len(other.requests) == 1
    assert endpoint.requests == []


def one_byte_at_a_time() -> Iterator[bytes]:
    pause = threading.Event()
    for _ in range(100):
        yield b"H"
        pause.wait(0.1)


def without_end() -> Iterator[bytes]:
    yield head(kind="application/json")
    yield from blocks(1 << 40)


@pytest.mark.parametrize("reply", [one_byte_at_a_time, without_end])
def test_an_ollama_that_does_not_come_to_an_end_holds_nobody_up(reply: Callable[[], Iterator[bytes]]) -> None:
    begin = time.monotonic()
    with serving(reply) as other, pytest.raises(NoModelConfigured):
        choose({"OLLAMA_HOST": other.origin})
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8000", "http://127.0.0.1:8000"),
        (":8000", "http://127.0.0.1:8000"),
        ("box", "http://box:11434"),
        ("http://box", "http://box:80"),
        ("https://box/", "https://box:443"),
        ("http://box:8000/", "http://box:8000"),
        ("[::]:8000", "http://[::1]:8000"),
        ("[broken", "http://127.0.0.1:11434"),
        ("box:port", "http://127.0.0.1:11434"),
    ],
)
def test_the_host_of_ollama_is_read_as_ollama_reads_it(host: str, url: str) -> None:
    assert find_ollama_url(host) == url
