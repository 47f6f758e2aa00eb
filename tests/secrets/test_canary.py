"""A planted secret, tools that leak it in every way, and everything that is kept or sent: it is in none of it.

A control runs the same tools and programs with a text that is no secret, and finds it nearly everywhere.
"""

from __future__ import annotations

import base64
import html
import json
import secrets
import traceback
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy
import pandas
import pytest
import pytest_asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from codeact_kernel import ScriptedModel, Secret, Session, Settings, progress
from codeact_kernel.events import Notice, OutputWritten, ProgramDelta, TextDelta
from codeact_kernel.memory.journal import Journal
from codeact_kernel.memory.lock_folder import LockFolder, TrustedLocks
from codeact_kernel.memory.reuse import Reuse
from codeact_kernel.render import Transcript, bundle
from codeact_kernel.settings import Limits
from codeact_kernel.types import Decision, TurnResult

from ..warm import WarmPool

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = Settings(backend="embedded", guest="standard", max_retries=0)
SMALL = replace(SETTINGS, limits=Limits(kept_bytes=400))
"""Nearly every result stays in the kernel, and the program fetches its parts."""


@dataclass
class Inside:
    token: str


@dataclass
class Around:
    parts: list[Inside]


class Leaking:
    """Tools that get a token, and give it away."""

    def __init__(self, token: Secret | str) -> None:
        self._token = token

    @property
    def text(self) -> str:
        return self._token.reveal() if isinstance(self._token, Secret) else self._token

    def in_text(self) -> str:
        """Text."""
        return f"Authorization: Bearer {self.text}."

    def in_key(self) -> dict[str, list[str]]:
        """A key."""
        return {self.text: ["1"]}

    def in_bytes(self) -> bytes:
        """Bytes."""
        return f"before {self.text} after".encode()

    def in_dataclass(self) -> Around:
        """A dataclass."""
        return Around([Inside(f"x{self.text}")])

    def in_array(self) -> Any:
        """An array."""
        return numpy.array(["fine", self.text])

    def in_column(self) -> Any:
        """A column."""
        return pandas.DataFrame({"n": range(40), "text": [f"row {self.text}"] * 39 + ["fine"]})

    def in_column_name(self) -> Any:
        """The name of a column."""
        return pandas.DataFrame({self.text: range(40)})

    def in_large_text(self) -> str:
        """A text that is fetched in pieces."""
        return "x" * 3_000 + self.text + "y" * (1 << 19) + self.text

    def in_encodings(self) -> list[str]:
        """As others write it."""
        data = self.text.encode()
        pair = b"me:" + data
        encoded = [base64.b64encode(data), base64.urlsafe_b64encode(data), base64.b64encode(pair)]
        return [*(part.decode() for part in encoded), quote(self.text), json.dumps(self.text), html.escape(self.text)]

    def in_error(self) -> None:
        """An error."""
        try:
            raise KeyError(self.text)
        except KeyError as cause:
            error = RuntimeError(f"no access with {self.text}")
            error.add_note(f"tried {self.text}")
            raise error from cause

    def in_long_error(self) -> None:
        """An error that is cut within the token."""
        raise ValueError("z" * 470 + self.text)

    def in_progress(self) -> int:
        """Progress."""
        progress(1, 1, "p" * 190 + self.text)
        return 1

    async def in_repr(self, token: Secret = Secret("default-of-a-parameter-1", name="D")) -> str:  # noqa: B008
        """Its repr, and that of a default."""
        return f"{self._token!r} {token!r} {token.reveal()}"

    @property
    def tools(self) -> list[Callable[..., object]]:
        return [
            self.in_text, self.in_key, self.in_bytes, self.in_dataclass, self.in_array, self.in_column,
            self.in_column_name, self.in_large_text, self.in_encodings, self.in_error, self.in_long_error,
            self.in_progress, self.in_repr,
        ]  # fmt: skip


LOOK = """
token = {backwards!r}[::-1]
seen = {{}}
for tool in [in_text, in_key, in_bytes, in_dataclass, in_array, in_column, in_column_name, in_large_text, in_encodings,
             in_error, in_long_error, in_progress, in_repr]:
    try:
        result = tool()
    except ToolFailed as error:
        result = str(error)
    seen[tool.__name__] = str([list(row.items()) for row in result]) if tool in (in_column, in_column_name) else str(result)
print(seen)
found = [name for name, text in seen.items() if token in text or repr(token)[1:-1] in text or token[:12] in text]
{end}
"""
"""A program that knows what to look for, in a form that nothing hides."""
LEAKS = ["in_text", "in_key", "in_bytes", "in_dataclass", "in_array", "in_column", "in_column_name", "in_large_text"]
"""What the control finds at least: the others depend on the token."""


@dataclass
class Places:
    """Everything that a turn is kept in or sent to."""

    folder: Path
    exporter: InMemorySpanExporter
    model: ScriptedModel
    events: list[Any] = field(default_factory=list[Any])
    texts: list[str] = field(default_factory=list[str])

    def note(self, result: TurnResult) -> None:
        self.texts += [repr(result), *map(str, bundle(result, "full").values())]

    def with_token(self, token: str) -> list[str]:
        """The places that have the token in them."""
        transcript = Transcript()
        for event in self.events:
            transcript.apply(event)
        texts = {
            "events": repr(self.events),
            "results": "".join(self.texts),
            "model": repr(self.model.asked),
            "card": "".join(map(str, bundle(transcript, "full").values())),
            "spans": "".join(span.to_json() for span in self.exporter.get_finished_spans()),
        }
        for file in self.folder.rglob("*"):
            if file.is_file():
                texts[file.name] = file.read_bytes().decode(errors="replace")
        forms = {token, repr(token)[1:-1], json.dumps(token)[1:-1], html.escape(token), token[:12]}
        forms.add(base64.b64encode(token.encode()).decode().rstrip("=")[:-2])
        return [name for name, text in texts.items() if any(form in text for form in forms)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def warm() -> AsyncIterator[WarmPool]:
    warm = WarmPool()
    yield warm
    await warm.aclose()


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    return exporter


class Desk:
    """Runs prompts, and keeps all that comes of them."""

    def __init__(self, session: Session, places: Places, journal: Journal) -> None:
        self.session, self.places, self.journal = session, places, journal

    async def ask(self, *programs: str, prompt: str = "Go.", **options: Any) -> TurnResult:
        model = ScriptedModel([f"```python\n{program}\n```" for program in programs])
        write = self.journal.record(days=1, cell=1, report=self.places.texts.append)

        def emit(event: Any) -> None:
            self.places.events.append(event)
            write(event)

        result = await self.session.ask(prompt, model=model, emit=emit, **{"settings": SETTINGS} | options)
        self.places.model.asked.extend(model.asked)
        self.places.note(result)
        return result


@pytest_asyncio.fixture(loop_scope="module")
async def open_desk(
    warm: WarmPool, exporter: InMemorySpanExporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., Any]]:
    monkeypatch.chdir(tmp_path)
    async with AsyncExitStack() as stack:

        async def open_desk(*tools: Callable[..., object]) -> Desk:
            reuse = Reuse(LockFolder(tmp_path, TrustedLocks(tmp_path / "trusted")))
            session = await stack.enter_async_context(warm.session(tools, reuse=reuse))
            journal = Journal(tmp_path / "history" / "history.sqlite")
            stack.callback(journal.close)
            return Desk(session, Places(tmp_path, exporter, ScriptedModel([])), journal)

        yield open_desk


TOKENS = [
    "plain-{}",
    "r.*[eg](ex)+$^|?\\d{{2}}-{}",
    "two\nlines-{}\r\nand a tab\t.",
    "pässwörd…🙂-{}",
    "quo\"ted'&<b>-{}",
]


@pytest.mark.parametrize("settings", [SETTINGS, SMALL], ids=["sent", "stored"])
@pytest.mark.parametrize("form", TOKENS, ids=["plain", "regex", "lines", "unicode", "quotes"])
async def test_a_secret_that_tools_leak_is_nowhere(open_desk, form: str, settings: Settings) -> None:
    token = form.format(secrets.token_hex(12))
    tools = Leaking(Secret(token, name="PLANTED"))
    desk = await open_desk(*tools.tools)
    look = LOOK.format(backwards=token[::-1], end="found")
    result = await desk.ask(look, settings=settings)
    assert result.error is None, result.error.traceback
    assert result.value == []
    await desk.ask(LOOK.format(backwards=token[::-1], end="seen"), settings=settings, prompt="Show all.")
    await desk.ask("previous", settings=settings, prompt="Show that again.")
    await desk.ask("observe([in_text(), in_key()])", "in_error()", settings=replace(settings, max_retries=1))
    assert desk.places.with_token(token) == []
    assert "[secret PLANTED]" in repr(result.calls)
    assert any((desk.places.folder / ".codeact").rglob("*.json"))


async def test_the_control_finds_a_text_that_is_no_secret(open_desk) -> None:
    token = f"control-{secrets.token_hex(12)}"
    desk = await open_desk(*Leaking(token).tools)
    result = await desk.ask(LOOK.format(backwards=token[::-1], end="found"))
    assert set(LEAKS) <= set(result.value)
    await desk.ask("observe(in_text())", "in_error()", settings=replace(SETTINGS, max_retries=1))
    found = desk.places.with_token(token)
    assert {"events", "results", "model", "card", "spans", "history.sqlite"} <= {*found} | {"history.sqlite"}
    assert any(name.endswith(".json") for name in found)


async def test_what_the_user_gives_to_a_prompt_is_searched_too(open_desk) -> None:
    token = f"given-{secrets.token_hex(12)}"
    Secret(token, name="GIVEN")
    inputs = {
        "table": pandas.DataFrame({"text": ["x" * 20 + token, "fine"], token: [1, 2]}),
        "nested": {"a": [{token: "y" * 30 + token}]},
        "array": numpy.array([token]),
        "long": "z" * ((1 << 19) - 8) + token,
    }
    look = f"token = {token[::-1]!r}[::-1]\n[token[:12] in str(v) for v in (table.rows(), nested, array, long)]"
    desk = await open_desk()
    result = await desk.ask(look.replace("table.rows()", "[list(row.items()) for row in table]"), inputs=inputs)
    assert result.error is None, result.error.traceback
    assert result.value == [False, False, False, False]
    assert desk.places.with_token(token) == []


async def test_a_secret_in_the_prompt_is_replaced_and_the_user_is_told(open_desk) -> None:
    token = f"typed-{secrets.token_hex(12)}"
    Secret(token, name="TYPED")
    desk = await open_desk()
    await desk.ask("1", prompt=f"Log in with {token}.")
    assert "Log in with [secret TYPED]." in repr(desk.places.model.asked)
    assert desk.places.with_token(token) == []
    notices = [event.text for event in desk.places.events if isinstance(event, Notice)]
    assert any(notice.startswith("Your prompt contained a secret, which the model does not see.") for notice in notices)


async def test_a_secret_of_an_earlier_turn_does_not_come_back_with_a_later_one(open_desk) -> None:
    token = f"later-{secrets.token_hex(12)}"
    desk = await open_desk(Leaking(token).in_text)
    await desk.ask("in_text()", prompt="Get it.")
    Secret(token, name="LATER")
    result = await desk.ask(f"[{token[::-1]!r}[::-1] in previous, previous]", prompt="Now look at that.")
    assert result.value == [False, "Authorization: Bearer [secret LATER]."]


async def test_a_secret_that_a_program_prints_in_pieces_is_hidden(open_desk) -> None:
    token = f"pieces-{secrets.token_hex(12)}"
    Secret(token, name="PIECES")
    program = f"import sys\nfor piece in {token[::-1]!r}[::-1]:\n    sys.stdout.write(piece)\n    sys.stdout.flush()\n1"
    desk = await open_desk()
    result = await desk.ask(program)
    written = "".join(event.text for event in desk.places.events if isinstance(event, OutputWritten))
    assert (written, result.stdout) == ("[secret PIECES]", "[secret PIECES]")


async def test_a_secret_in_what_the_model_writes_is_hidden(open_desk) -> None:
    token = f"written-{secrets.token_hex(12)}"
    Secret(token, name="WRITTEN")
    desk = await open_desk()
    result = await desk.ask(f"text = {token!r}\nlen(text)")
    assert result.value == len(token)
    shown = "".join(event.text for event in desk.places.events if isinstance(event, ProgramDelta | TextDelta))
    assert "[secret WRITTEN]" in shown
    assert desk.places.with_token(token) == []


async def test_an_argument_that_the_user_changes_reaches_the_tool_and_no_record(open_desk) -> None:
    token = f"edited-{secrets.token_hex(12)}"
    Secret(token, name="EDITED")
    got: list[str] = []

    def log_in(password: str) -> str:
        """Log in."""
        got.append(password)
        return "done"

    class Editor:
        async def decide(self, request: Any) -> Decision:
            return Decision(choice="allow_once", by="user", arguments={"password": token})

        async def review(self, program: str, problem: str) -> Any:
            raise AssertionError

    desk = await open_desk(log_in)
    settings = replace(SETTINGS, max_retries=1)
    from codeact_kernel.tools.conversion import as_tool
    from codeact_kernel.tools.options import ToolOptions

    desk.session.tools.add_tool(as_tool(log_in, options=ToolOptions(approval_mode="always_require")))
    await desk.ask(
        "log_in(password='?')\nraise ValueError", "log_in(password='?')", settings=settings, approver=Editor()
    )
    assert got == [token, token]
    assert desk.places.with_token(token) == []


async def test_a_secret_is_in_nothing_that_the_author_of_a_program_reads(open_desk) -> None:
    token = f"fed-back-{secrets.token_hex(12)}"
    desk = await open_desk(*Leaking(Secret(token, name="FED")).tools)
    for program in ("observe(in_text())", "print(in_text())\nraise ValueError(in_text())"):
        result = await desk.session.execute_code(program, settings=SETTINGS)
        assert result.feedback
        desk.places.note(result)
    assert desk.places.with_token(token) == []


async def test_a_missing_secret_is_one_sentence_and_the_model_is_not_asked_again(open_desk) -> None:
    missing = Secret.from_environment("NEVER_SET_TOKEN")

    def fetch(url: str, token: Secret = missing) -> str:
        """Fetch."""
        return token.reveal()

    desk = await open_desk(fetch)
    result = await desk.ask("fetch(url='u')", "1", settings=replace(SETTINGS, max_retries=2))
    assert str(result.error).startswith("ToolFailed: fetch: The environment variable NEVER_SET_TOKEN is not set")
    assert result.model_turns == 1


async def test_a_figure_has_no_secret_in_its_texts(open_desk) -> None:
    from matplotlib.figure import Figure

    token = f"drawn-{secrets.token_hex(12)}"
    Secret(token, name="DRAWN")
    figure = Figure()
    figure.subplots().set_title(f"by {token}")

    def plot() -> Figure:
        """Plot."""
        return figure

    desk = await open_desk(plot)
    await desk.ask("plot()")
    assert figure.axes[0].get_title() == "by [secret DRAWN]"
    assert desk.places.with_token(token) == []


async def test_the_last_error_of_a_tool_is_written_without_the_secret(open_desk) -> None:
    from codeact.tool_errors import write_tool_error

    token = f"traced-{secrets.token_hex(12)}"
    desk = await open_desk(Leaking(Secret(token, name="TRACED")).in_error)
    await desk.ask("in_error()")
    error = desk.session.tools.last_error
    assert error is not None
    assert token in "".join(traceback.format_exception(error))
    assert token not in write_tool_error(error)


async def test_an_ordinary_word_is_not_hidden(open_desk) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        secret = Secret("password", name="a word")
    desk = await open_desk(Leaking(secret).in_text)
    assert (await desk.ask("in_text()")).value == "Authorization: Bearer password."
