"""With OpenTelemetry a turn is a trace: turn, requests, runs and calls, without any content unless it is asked for."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from codeact_kernel.errors import ModelError
from codeact_kernel.model.scripted import ScriptedModel
from codeact_kernel.session import Session
from codeact_kernel.settings import Settings
from codeact_kernel.telemetry import traced
from codeact_kernel.telemetry.provider import exporter_names
from codeact_kernel.tools import Registry, tool
from codeact_kernel.types import Usage

from .warm import WarmPool

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> TracerProvider:
    """The provider that a user configured in this process."""
    provider = TracerProvider()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return provider


@pytest.fixture
def exporter(provider: TracerProvider) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def warm() -> AsyncIterator[WarmPool]:
    warm = WarmPool()
    yield warm
    await warm.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def session(warm: WarmPool) -> AsyncIterator[Session]:
    registry = Registry()

    @tool
    def greet(name: str) -> str:
        """Greets."""
        return f"hello {name}"

    @tool(approval_mode="always_require")
    def pay(amount: float) -> str:
        """Pays."""
        return "paid"

    for function in (greet, pay):
        registry.add(function)
    async with warm.session(registry) as session:
        yield session


class Remote(ScriptedModel):
    note = ""
    endpoint = "https://models.example:8443/v1"


async def ask(session: Session, *programs: str, **options) -> None:
    answers = [f"```python\n{program}\n```" for program in programs]
    model = Remote(answers, name="big-model", usage=Usage(prompt_tokens=100, completion_tokens=7))
    await session.ask("Greet the pelicans.", model=model, **options)


def named(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def parents(spans: Sequence[ReadableSpan]) -> list[tuple[str, str]]:
    """Every span with the name of the one above it."""
    names = {span.context.span_id: span.name for span in spans}
    return sorted((span.name, names.get(span.parent.span_id, "outside") if span.parent else "") for span in spans)


async def test_a_turn_is_a_trace_of_requests_runs_and_calls(session, exporter):
    await ask(session, "greet(name='Ada')")
    spans = named(exporter)
    assert parents(exporter.get_finished_spans()) == [
        ("chat big-model", "invoke_agent codeact"),
        ("execute_tool greet", "run_program"),
        ("invoke_agent codeact", ""),
        ("run_program", "invoke_agent codeact"),
    ]
    model = {
        "gen_ai.request.model": "big-model",
        "gen_ai.provider.name": "openai",
        "server.address": "models.example",
        "server.port": 8443,
    }
    tokens = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 7}
    assert dict(spans["invoke_agent codeact"].attributes) == {
        "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "codeact", **model, **tokens
    }  # fmt: skip
    chat = dict(spans["chat big-model"].attributes)
    assert chat.pop("gen_ai.response.finish_reasons", ("stop",)) == ("stop",)
    assert chat == {"gen_ai.operation.name": "chat", **model, **tokens}
    assert dict(spans["execute_tool greet"].attributes) == {
        "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "greet", "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": "1.1", "codeact.decision": "allow_once", "codeact.decided_by": "policy",
    }  # fmt: skip
    assert spans["run_program"].attributes["codeact.run"] == 1
    assert spans["chat big-model"].kind is SpanKind.CLIENT
    assert {span.status.status_code for span in spans.values()} == {StatusCode.UNSET}
    assert all(span.start_time <= span.end_time for span in spans.values())


async def test_no_span_holds_content_not_even_in_names_and_errors_that_a_program_chooses(session, exporter):
    program = (
        "name = greet(name='Ada')\nprint(name)\ntool = 'tell_' + name[-3:]\ntry:\n    call_tool(tool)\n"
        "except Exception as error:\n    print(error)\nclass Ada(Exception):\n    pass\nraise Ada(name)"
    )
    await ask(session, program, settings=Settings(max_retries=0))
    everything = "\n".join(span.to_json() for span in exporter.get_finished_spans())
    for content in ("Ada", "pelicans", "print"):
        assert content not in everything
    assert named(exporter)["run_program"].attributes["error.type"] == "_OTHER"
    assert named(exporter)["execute_tool _OTHER"].attributes["error.type"] == "ToolFailed"


async def test_content_comes_with_the_standard_variable_and_without_secrets(session, exporter, monkeypatch):
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    monkeypatch.setenv("SHOP_TOKEN", "t0k3n-abcdefgh")
    await ask(session, "greet(name='t0k3n-abcdefgh')")
    spans = named(exporter)
    turn, call = spans["invoke_agent codeact"].attributes, spans["execute_tool greet"].attributes
    (asked,) = json.loads(turn["gen_ai.input.messages"])
    assert asked == {"role": "user", "parts": [{"type": "text", "content": "Greet the pelicans."}]}
    assert "greet(name=" in turn["gen_ai.output.messages"]
    assert json.loads(call["gen_ai.tool.call.arguments"]) == {"name": "<secret>"}
    assert json.loads(call["gen_ai.tool.call.result"]) == "hello <secret>"
    assert "t0k3n" not in "".join(span.to_json() for span in spans.values())


async def test_errors_set_the_status_of_their_span_and_retries_are_in_the_trace(session, exporter):
    await ask(session, "1 / 0", "pay(amount=1)", settings=Settings(max_retries=1))
    spans = exporter.get_finished_spans()
    runs = [span for span in spans if span.name == "run_program"]
    assert [span.attributes["error.type"] for span in runs] == ["ZeroDivisionError", "ToolDenied"]
    turn, call = named(exporter)["invoke_agent codeact"], named(exporter)["execute_tool pay"]
    assert (call.attributes["error.type"], call.attributes["codeact.decision"]) == ("ToolDenied", "reject")
    assert turn.attributes["error.type"] == "ToolDenied"
    assert turn.attributes["gen_ai.usage.input_tokens"] == 200
    assert {span.status.status_code for span in (*runs, turn, call)} == {StatusCode.ERROR}
    assert len([span for span in spans if span.name == "chat big-model"]) == 2


async def test_a_model_that_fails_and_a_turn_that_is_stopped_end_all_their_spans(session, exporter):
    with pytest.raises(ModelError):
        await ask(session)
    spans = named(exporter)
    assert spans["chat big-model"].attributes["error.type"] == "ModelError"
    assert spans["invoke_agent codeact"].attributes["error.type"] == "ModelError"
    exporter.clear()
    started = asyncio.Event()
    running = asyncio.create_task(
        ask(session, "print('x')\nwhile True: pass", emit=lambda event: _note(event, started))
    )
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert set(named(exporter)) == {"chat big-model", "run_program", "invoke_agent codeact"}
    assert named(exporter)["invoke_agent codeact"].attributes["error.type"] == "Interrupted"


def _note(event: object, started: asyncio.Event) -> None:
    if type(event).__name__ == "OutputWritten":
        started.set()


async def test_the_turn_is_below_the_span_that_is_current(session, exporter, provider):
    with provider.get_tracer("user").start_as_current_span("my cell"):
        await ask(session, "1")
    assert ("invoke_agent codeact", "my cell") in parents(exporter.get_finished_spans())


async def test_a_broken_exporter_does_not_disturb_a_turn(session, provider):
    class Broken(InMemorySpanExporter):
        def export(self, spans: object) -> object:
            raise OSError("the collector is gone")

    provider.add_span_processor(SimpleSpanProcessor(Broken()))
    events: list[object] = []
    await ask(session, "greet(name='Ada')", emit=events.append)
    assert type(events[-1]).__name__ == "TurnFinished"


async def test_where_nothing_is_configured_nothing_is_traced(monkeypatch):
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    events: list[object] = []
    assert traced(events.append) == events.append


@pytest.mark.parametrize(
    ("environ", "exporters"),
    [
        ({}, ()), ({"OTEL_TRACES_EXPORTER": "console, otlp"}, ("console", "otlp")),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318"}, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, ()),
    ],
)  # fmt: skip
async def test_the_standard_variables_name_the_exporter(environ, exporters):
    assert exporter_names(environ) == exporters


SCRIPT = """
import asyncio, sys
from codeact_kernel import Session
from codeact_kernel.model.scripted import ScriptedModel
assert not any(name.startswith("opentelemetry") for name in sys.modules)

async def main():
    async with Session([], model=ScriptedModel(["Only words."])) as session:
        await session.ask("Go.")

asyncio.run(main())
print("loaded:", any(name.startswith("opentelemetry") for name in sys.modules))
"""


@pytest.mark.parametrize("configured", [True, False])
async def test_a_script_is_traced_by_the_standard_variables_alone_and_loads_nothing_without_them(configured):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environ["CODEACT_BACKEND"] = "embedded"
    if configured:
        environ["OTEL_TRACES_EXPORTER"] = "console"
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environ, capture_output=True, text=True, check=True)
    assert f"loaded: {configured}" in done.stdout
    assert ('"name": "invoke_agent codeact"' in done.stdout) is configured
    assert ('"service.name": "codeact-kernel"' in done.stdout) is configured
