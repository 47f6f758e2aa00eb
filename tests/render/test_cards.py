"""What a card says, in each of its three forms."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest

from codeact_kernel.events import (
    CallFinished,
    CallProgressed,
    CallRequested,
    ModelRequested,
    Notice,
    OutputWritten,
    ProgramDelta,
    ProgramReady,
    RetryStarted,
    RunStarted,
    TextDelta,
    TurnFinished,
    TurnStarted,
)
from codeact_kernel.render import Transcript, blocks, bundle, to_card, to_html
from codeact_kernel.types import CallResult, OutputFile, Timings, ToolCall, Usage

from .cards import ISOLATION, Reader, call, failed, failure, turn

FORMS = ("text/plain", "text/markdown", "text/html")


def transcript(*events) -> Transcript:
    seen = Transcript()
    for event in events:
        seen.apply(event)
    return seen


def read(shown: dict[str, str], form: str) -> str:
    """The text of a form, without what is only there for its markup."""
    text = shown[form]
    if form == "text/html":
        return Reader(text).data
    return text.replace("\\", "") if form == "text/markdown" else text


STARTED = TurnStarted(ask="Totals?", model="some-model", note="", tools=())
RUNNING = RunStarted(run=1, isolation=ISOLATION)


def ready(program: str, attempt: int = 1) -> ProgramReady:
    return ProgramReady(program=program, attempt=attempt)


def over(result):
    return TurnFinished(result=result, usage=Usage(), timings=Timings())


@pytest.mark.parametrize("form", FORMS)
def test_a_finished_turn_shows_program_calls_output_value_and_footer(form):
    result = turn({"total": 57}, program="get_orders(user=1)", calls=[call(user=1)], stdout="adding\n")
    shown = read(bundle(result), form)
    for part in (
        "get_orders(user=1)", "adding", '"total": 57', "12 ms", "WebAssembly in a locked-down process (seccomp)",
        "some-model: 1 model turn", "tokens 1,200 in, 34 out", "model 1.50 s, sandbox 0.25 s, tools 0.12 s", "done",
    ):  # fmt: skip
        if (part, form) != ("done", "text/plain"):  # a terminal sees that it is done
            assert part in shown


def test_rows_are_a_table_with_numbers_to_the_right():
    shown = bundle(turn([{"name": "Diana", "total": 104.4}, {"name": "Bo", "total": 9}]))
    assert "name   total\nDiana  104.4\nBo         9" in shown["text/plain"]
    assert "| name | total |\n| --- | ---: |\n| Diana | 104.4 |\n| Bo | 9 |" in shown["text/markdown"]
    assert Reader(shown["text/html"]).cells == ["name", "total", "Diana", "104.4", "Bo", "9"]


def test_rows_with_different_keys_share_one_table():
    assert Reader(bundle(turn([{"a": 1}, {"b": None}]))["text/html"]).cells == ["a", "b", "1", "", "", ""]


@pytest.mark.parametrize("value", [[], [{}], [1, 2], [{"a": 1}, 2], {"a": 1}, "text", 7, False])
def test_what_is_no_list_of_rows_is_shown_as_it_is(value):
    html = bundle(turn(value))["text/html"]
    assert "<table" not in html
    assert str(value if isinstance(value, str) else "").strip() in Reader(html).data
    assert Reader(html).data.split() != Reader(bundle(turn())["text/html"]).data.split()


def test_the_value_is_shown_when_it_is_false_or_zero_but_not_when_there_is_none():
    assert "\nfalse\n" in bundle(turn(False))["text/plain"]
    assert "\n0\n" in bundle(turn(0))["text/plain"]
    assert "null" not in bundle(turn(None))["text/plain"]


@pytest.mark.parametrize("form", FORMS)
def test_a_failure_is_named_in_every_form(form):
    shown = read(bundle(failure("ZeroDivisionError", "division by zero", "line 3, in share")), form)
    assert "ZeroDivisionError: division by zero" in shown
    assert "failed" in shown


def test_the_traceback_of_the_program_is_in_the_html():
    assert "line 3, in share" in Reader(bundle(failure(traceback="line 3, in share"))["text/html"]).data


def test_a_stopped_turn_says_stopped():
    stopped = replace(failure("Interrupted", "stopped by the user"), stopped=True)
    for text in bundle(stopped).values():
        assert "stopped" in text
        assert "failed" not in text


@pytest.mark.parametrize("form", FORMS)
def test_the_note_and_notices_are_on_the_card(form):
    started = TurnStarted(ask="Totals?", model="m", note="Recorded answer of m", tools=())
    shown = read(bundle(transcript(started, Notice(text="This takes a while"), over(turn(1)))), form)
    assert "Recorded answer of m" in shown
    assert "This takes a while" in shown


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_in_words_is_shown_whole(form):
    result = turn(program=None, answer="Paris is the capital.\nOf France.", isolation=None)
    for shown in (bundle(result), bundle(transcript(STARTED, TextDelta(text=result.answer), over(result)))):
        assert "Paris is the capital." in read(shown, form)
        assert "Of France." in read(shown, form)
        assert "nothing was run" in read(shown, form)


def test_a_turn_under_way_says_where_it_is():
    events = [STARTED]
    states = []
    for event in (ModelRequested(number=1), ProgramDelta(text="get()"), ready("get()"), RUNNING):
        events.append(event)
        states.append(transcript(*events).state)
        for text in bundle(transcript(*events)).values():
            assert states[-1] in text
    assert states == ["writing program", "writing program", "writing program", "running"]


def test_a_program_is_shown_while_it_is_written():
    seen = transcript(STARTED, ModelRequested(number=1), ProgramDelta(text="rows = "), ProgramDelta(text="[1]"))
    assert "    rows = [1]" in bundle(seen)["text/plain"]


def test_an_open_call_is_shown_without_an_answer_until_it_has_one():
    wanted = ToolCall(id=1, name="get", arguments={"n": 1})
    events = [STARTED, ModelRequested(number=1), ready("get(n=1)"), RUNNING, CallRequested(run=1, call=wanted)]
    assert "→ get(n=1) = …" in bundle(transcript(*events))["text/plain"]
    events.append(CallFinished(run=1, call=wanted, answer=CallResult(value=[5]), seconds=0.004))
    assert "→ get(n=1) = [5]  4 ms" in bundle(transcript(*events))["text/plain"]


def test_answers_reach_their_own_calls_in_any_order():
    first, second = (ToolCall(id=number, name="get", arguments={"n": number}) for number in (1, 2))
    seen = transcript(
        STARTED, ModelRequested(number=1), ready("..."), RUNNING, CallRequested(run=1, call=first),
        CallRequested(run=1, call=second), CallFinished(run=1, call=second, answer=CallResult(value="b"), seconds=0),
        CallFinished(run=1, call=first, answer=failed("broken"), seconds=0),
    )  # fmt: skip
    text = bundle(seen)["text/plain"]
    assert "→ get(n=1) = ToolFailed: broken" in text
    assert '→ get(n=2) = "b"' in text


def test_a_program_that_was_mended_is_folded_away_with_the_reason():
    seen = transcript(
        STARTED, ModelRequested(number=1), ready("first_try()"), RUNNING, OutputWritten(stream="stdout", text="before\n"),
        RetryStarted(attempt=2, reason="NameError: first_try"), ModelRequested(number=2), ProgramDelta(text="second"),
        ready("second_try()", 2), RUNNING, over(turn(5, program="second_try()")),
    )  # fmt: skip
    shown = bundle(seen)
    (summary,) = Reader(shown["text/html"]).summaries
    assert "NameError: first_try" in summary
    for text in shown.values():
        assert "NameError" in text
        assert text.count("first") >= 2
        assert text.index("first") < text.index("second")
    assert "program 1:" in shown["text/plain"]
    assert "program 2:" in shown["text/plain"]


def test_many_calls_are_folded_unless_one_failed():
    fine = [call(number=number) for number in range(1, 21)]
    assert Reader(bundle(turn(calls=fine))["text/html"]).opened == [False]
    reader = Reader(bundle(turn(calls=[*fine, call(answer=failed("no"))]))["text/html"])
    assert reader.opened == [True]
    assert reader.summaries == ["21 tool calls, 1 failed or denied"]


def test_a_call_that_a_user_decided_says_so():
    assert "allowed by you" in Reader(bundle(turn(calls=[call(by="user")]))["text/html"]).data


def test_waiting_for_the_user_is_in_the_footer_only_when_there_was_some():
    assert "waiting for you" not in bundle(turn())["text/plain"]
    assert "waiting for you 2.5 s" in bundle(turn(timings=Timings(waiting=2.5)))["text/plain"]


def test_a_layer_that_this_host_cannot_give_is_named():
    isolation = type(ISOLATION)(backend="embedded", boundary="WebAssembly", missing=("Landlock",))
    for form in FORMS:
        assert "without Landlock" in read(bundle(turn(isolation=isolation)), form)


def test_the_same_turn_looks_the_same_each_time():
    result = turn([{"a": 1}], calls=[call(user=1)])
    assert bundle(result) == bundle(result)


def test_progress_is_shown_by_its_own_run_and_never_by_another():
    wanted = ToolCall(id=1, name="get", arguments={})
    late = CallProgressed(run=1, call=wanted, done=3, total=5, text="rows")
    opened = [STARTED, ModelRequested(number=1), ready("get()"), RUNNING, CallRequested(run=1, call=wanted)]
    assert to_card(transcript(*opened, late))["runs"][0]["rows"][0]["progress"] == [3, 5]
    again = [ModelRequested(number=2), ready("get()", 2), RunStarted(run=2, isolation=ISOLATION)]
    assert to_card(transcript(*opened, *again, late))["runs"][1]["rows"] == []
    other = CallRequested(run=2, call=wanted)
    assert to_card(transcript(*opened, *again, other, late))["runs"][1]["rows"][0]["progress"] is None


def test_the_live_card_has_a_writer_for_each_kind_of_block_that_it_gets():
    script = (Path(__file__).parents[2] / "extension" / "codeact" / "card.js").read_text(encoding="utf-8")
    (table,) = re.findall(r"^const BLOCKS = \{\n(.*?)^\};", script, re.DOTALL | re.MULTILINE)
    kinds = {block.kind for block in get_args(blocks.Block)} - {"program", "no_value"}
    assert set(re.findall(r"^  (\w+): ", table, re.MULTILINE)) == kinds


def test_the_live_card_gets_the_blocks_of_the_saved_formats_around_its_programs():
    seen = transcript(replace(STARTED, note="Recorded"), ModelRequested(number=1), ProgramDelta(text="1"), ready("1"))
    running = to_card(seen)
    assert running["above"] == [{"kind": "note", "text": "Recorded"}]
    assert running["below"] == []
    file = OutputFile(name="a.csv", path="out/a.csv", size=1, media_type="text/csv")
    seen.apply(over(turn([{"a": 1}], program="1", answer="Here.", files=[file])))
    done = to_card(seen)
    assert done["above"] == running["above"]
    assert [block["kind"] for block in done["below"]] == ["words", "table", "files", "footer"]
    assert done["below"][1]["table"] == {"columns": ["a"], "rows": [["1"]], "left_out": "", "numeric": [True]}
    seen.apply(over(failure("ValueError", "no", "line 1", program="1")))
    assert [block["kind"] for block in to_card(seen)["below"]] == ["failure", "footer"]


def test_the_texts_to_copy_are_attributes_of_hidden_buttons_and_nothing_else():
    class Buttons(HTMLParser):
        found: list[dict[str, str | None]] = []

        def handle_starttag(self, tag, attrs):
            if tag == "button":
                self.found.append(dict(attrs))

    text = "a = '\"><script>alert(1)</script>' & 1\n\nb"
    buttons = Buttons()
    buttons.feed(to_html(replace(Transcript.from_result(turn(1)), copies={"Copy": text})))
    assert [button["data-codeact-copy"] for button in buttons.found] == [text]
    assert buttons.found[0]["style"].startswith("display:none")
    assert "<button" not in to_html(Transcript.from_result(turn(1)))
