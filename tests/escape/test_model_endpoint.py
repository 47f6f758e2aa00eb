"""F and C: a model endpoint that fills the kernel's memory, never comes to an end, or sends a prompt elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from threading import Event
from time import monotonic

import pytest

from codeact_kernel import ModelError
from codeact_kernel.model import bounded_http, openai_client
from codeact_kernel.model.discovery import NoModelConfigured, choose_model
from codeact_kernel.model.openai_client import OpenAIClient
from codeact_kernel.settings import Limits, Settings

from ..model.hostile import CASES, SILENT, Case, Replies, chunk, head, measured, serving
from .attempts import attempt
from .conftest import Kernel

pytestmark = pytest.mark.asyncio(loop_scope="session")

ASK = "The prompt of a user."
MOST = 60_000_000
"""Bytes that the kernel may take beside what it has."""


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the pauses of the SDK between its tries, and end a long answer at an eighth of the usual bound."""
    monkeypatch.setattr(openai_client, "RETRIES", 0)
    monkeypatch.setattr(bounded_http, "ANSWER_BYTES", bounded_http.ANSWER_BYTES // 8)


async def answer_at(kernel: Kernel, url: str, seconds: float = 20) -> str:
    """Ask there, and return the answer or the sentence of the error."""
    model = OpenAIClient("m", base_url=url, api_key=kernel.token, limits=Limits(model_seconds=seconds))
    try:
        result = await kernel.session.ask(ASK, model=model, settings=kernel.settings)
    except ModelError as error:
        sentence = str(error)
    else:
        sentence = result.answer
    assert sentence.isprintable()
    assert len(sentence) < 1_000
    assert kernel.token not in sentence
    return sentence


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name, marks=attempt(f"F9.{case.name}", case.tries)) for case in CASES]
)
async def test_an_endpoint_fills_no_memory_and_comes_to_an_end(kernel: Kernel, case: Case) -> None:
    with measured() as memory, serving(case.reply) as endpoint:
        sentence = await answer_at(kernel, endpoint.url, seconds=0.3 if case.says == SILENT else 20)
    assert case.says in sentence
    assert memory.peak < MOST
    kernel.contained()
    await kernel.answers()


@attempt("F9.models", "lists endless models to a user who named none")
async def test_a_list_of_models_fills_no_memory(kernel: Kernel) -> None:
    def reply() -> Iterator[bytes]:
        yield head(kind="application/json") + b'{"data": [{"id": "a"}'
        yield from repeat(b',{"id": "a"}' * 5_000)

    with measured() as memory, serving(reply) as endpoint, pytest.raises(ModelError, match="set CODEACT_MODEL"):
        await choose_model(Settings(), {"OPENAI_BASE_URL": endpoint.url})
    assert memory.peak < MOST
    kernel.contained()
    await kernel.answers()


@attempt("F9.ollama", "pretends to be an Ollama server, and answers one byte at a time")
async def test_what_only_looks_like_an_ollama_holds_nobody_up(kernel: Kernel) -> None:
    pause = Event()

    def reply() -> Iterator[bytes]:
        for byte in head() * 9:
            yield bytes([byte])
            pause.wait(0.1)

    begin = monotonic()
    with serving(reply) as endpoint, pytest.raises(NoModelConfigured):
        await choose_model(Settings(), {"OLLAMA_HOST": endpoint.origin})
    assert monotonic() - begin < 5
    kernel.contained()
    await kernel.answers()


def redirect_to(url: str, status: str) -> Replies:
    return lambda: [head(status, location=url)]


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(
            status, id=status[:3], marks=attempt(f"C8.{status[:3]}", f"redirects a prompt elsewhere ({status})")
        )
        for status in ("302 Found", "307 Temporary Redirect", "308 Permanent Redirect")
    ],
)
async def test_an_endpoint_sends_no_prompt_elsewhere(kernel: Kernel, status: str) -> None:
    with serving(lambda: [head(), chunk("stop", content="hi")]) as other:
        elsewhere = f"{other.url.replace('127.0.0.1', 'localhost')}/chat/completions"
        with serving(redirect_to(elsewhere, status)) as endpoint:
            sentence = await answer_at(kernel, endpoint.url)
    assert ASK in str(endpoint.prompts)
    assert other.requests == []
    assert "if the new address is right, set OPENAI_BASE_URL to it" in sentence
    kernel.contained()
    await kernel.answers()


@attempt("C8.lists", "redirects requests for its list of models, as an endpoint and as an Ollama server")
async def test_no_list_of_models_is_looked_for_elsewhere(kernel: Kernel) -> None:
    page = b'{"data": [{"id": "a"}], "models": [{"name": "a"}]}'
    with serving(lambda: [head(kind="application/json"), page]) as other:
        for variable, path in (("OPENAI_BASE_URL", "/v1/models"), ("OLLAMA_HOST", "/api/tags")):
            with serving(redirect_to(other.origin + path, "302 Found")) as endpoint, pytest.raises(ModelError):
                await choose_model(Settings(), {variable: endpoint.origin})
            assert len(endpoint.requests) == 1
    assert other.requests == []
    kernel.contained()
    await kernel.answers()
