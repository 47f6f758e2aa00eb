"""What a card says, in each of its three forms."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from codeact_kernel.events import (
    CallFinished,
    CallProgressed,
    CallRequested,
    ItemDisplayed,
    ModelRequested,
    Notice,
    OutputWritten,
    ProgramDelta,
    ProgramReady,
    RetryStarted,
    RunFinished,
    RunStarted,
    TextDelta,
    TurnFinished,
    TurnStarted,
)
from codeact_kernel.render import CallRow, Transcript, bundle, measure, to_card, to_html, to_text
from codeact_kernel.render.calls import call_result, call_text
from codeact_kernel.render.summary import describe_seconds
from codeact_kernel.types import (
    CallResult,
    CardStyle,
    DisplayItem,
    OutputFile,
    ProgramFailure,
    RunOutcome,
    Timings,
    ToolCall,
    Usage,
)

from .cards import ELEMENTS, ISOLATION, Reader, call, failed, failure, turn

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
def test_a_finished_turn_shows_the_answer_first_and_sums_the_rest_up_in_a_line(form):
    result = turn(57, program="get_orders(user=1)", calls=[call(user=1)], stdout="adding\n")
    shown = read(bundle(result), form)
    parts = ["adding", "57", "1 program · 1 call · 1,234 tokens · WebAssembly"]
    assert [shown.index(part) for part in parts] == sorted(shown.index(part) for part in parts)


@pytest.mark.parametrize("form", FORMS)
def test_with_the_full_style_everything_behind_the_line_is_shown(form):
    result = turn(57, program="get_orders(user=1)", calls=[call(user=1)], inputs=["sales"])
    shown = read(bundle(result, "full"), form)
    for part in (
        "get_orders(user=1)", "some-model: 1 model turn, 1,200 tokens in, 34 out",
        "sent to the model: your prompt, the shape of sales", "ran in: WebAssembly in a locked-down process (seccomp)",
    ):  # fmt: skip
        assert shown.index(part) > shown.index("57")


@pytest.mark.parametrize(("style", "opened"), [("answer", [False]), ("program", [True]), ("full", [True])])
def test_the_style_says_what_is_open(style, opened):
    result = turn(57, calls=[call(user=1)])
    assert Reader(bundle(result, style)["text/html"]).opened == opened
    assert ("    rows" in bundle(result, style)["text/plain"]) is (style != "answer")
    assert ("→ get_orders(user=1) = 1" in bundle(result, style)["text/plain"]) is (style != "answer")


def test_the_line_names_the_tools_that_the_model_was_told_about():
    seen = transcript(replace(STARTED, tools=("get", "send")), over(turn(1)))
    assert "your prompt, the descriptions of get, send" in bundle(seen, "full")["text/plain"]


def test_a_file_has_no_seconds_so_that_the_same_turn_gives_the_same_file():
    first = turn(57, calls=[call(user=1)])
    later = turn(
        57, calls=[replace(call(user=1), seconds=2.5)], timings=Timings(model=9, sandbox=9, tools=9, waiting=9)
    )
    for style in get_args(CardStyle):
        assert bundle(first, style) == bundle(later, style)
    assert measure(Transcript.from_result(later)) == {
        "seconds": {"model": 9, "sandbox": 9, "tools": 9, "waiting": 9}, "calls": [[2.5]],
    }  # fmt: skip


def test_the_page_gets_the_seconds_by_the_name_of_their_place():
    seen = transcript(STARTED, ModelRequested(number=1), ready("1"), over(turn(1, program="1")))
    times = to_card(seen)["head"]["times"]
    assert [*times.values()] == [" · 1.9 s", "time: model 1.50 s, sandbox 0.25 s, tools 0.12 s"]
    for key in times:
        assert f'data-codeact-time="{key}"' in to_html(seen)


def test_a_terminal_gets_the_seconds_too():
    assert to_text(Transcript.from_result(turn(1)), seconds=True).endswith(
        "[1.9 s · model 1.50 s, sandbox 0.25 s, tools 0.12 s]"
    )


def test_rows_are_a_table_with_numbers_to_the_right():
    shown = bundle(turn([{"name": "Diana", "total": 104.4}, {"name": "Bo", "total": 9}]))
    assert "name   total\nDiana  104.4\nBo         9" in shown["text/plain"]
    assert "| name | total |\n| --- | ---: |\n| Diana | 104.4 |\n| Bo | 9 |" in shown["text/markdown"]
    assert Reader(shown["text/html"]).cells == ["name", "total", "Diana", "104.4", "Bo", "9"]


def test_rows_with_different_keys_share_one_table():
    assert Reader(bundle(turn([{"a": 1}, {"b": None}]))["text/html"]).cells == ["a", "b", "1", "", "", ""]


NUMBERS = [
    (49.959999999999994, "49.96"), (80660.16349999998, "80660.16"), (3.14159265, "3.14159"), (0.000123456789, "0.000123457"),
    (1234567.891, "1234567.89"), (1e-20, "1e-20"), (0.1 + 0.2, "0.3"), (5.0, "5.0"), (float("nan"), "nan"), (-1 / 3, "-0.333333"),
    (10**20, "100000000000000000000"), (True, "True"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "text"), NUMBERS)
def test_a_number_is_shown_with_about_six_digits_and_in_the_spelling_of_python(value, text):
    assert bundle(turn(value))["text/plain"].split("\n")[0] == text


def test_the_arguments_and_the_result_of_a_call_keep_every_digit():
    row = CallRow(call(amount=49.959999999999994, to=None).call, answer=CallResult(value=0.1 + 0.2))
    assert call_text(row) == "get_orders(amount=49.959999999999994, to=None)"
    assert call_result(row) == "0.30000000000000004"


def test_the_numbers_of_a_column_have_the_same_decimals():
    rows = [{"n": 1, "x": 80660.16349999998}, {"n": 22, "x": 12.5}, {"n": 3, "x": None}]
    assert bundle(turn(rows))["text/plain"].startswith(" n         x\n 1  80660.16\n22     12.50\n 3")


TABLES = [
    ({"Europe": 197, "Asia": 3.5}, ["Europe", "197", "Asia", "3.5"]),
    ([[1, "a"], [2]], ["0", "1", "1", "a", "2", ""]),
    ({"a": [1, 2], "b": ["x", None]}, ["a", "b", "1", "x", "2", ""]),
    ({"EU": {"n": 1, "ok": True}, "US": {"n": 2, "ok": False}}, ["", "n", "ok", "EU", "1", "True", "US", "2", "False"]),
]


@pytest.mark.parametrize(("value", "cells"), TABLES)
def test_what_people_read_as_a_table_is_one(value, cells):
    assert Reader(bundle(turn(value))["text/html"]).cells == cells


def test_a_long_flat_list_is_one_line_with_its_length():
    text = bundle(turn(list(range(100_000))))["text/plain"].split("\n")[0]
    assert text.startswith("[0, 1, 2, 3,")
    assert text.endswith(", …]  100,000 items")
    assert len(text) < 130
    assert bundle(turn([1, "b", None]))["text/plain"].startswith('[1, "b", None]\n')


def test_a_nested_value_is_a_tree_that_opens():
    value = {"users": [{"name": "Ann", "tags": ["a", "b"], "deep": {"x": [[1], {"y": 2.123456789}]}}], "count": 1}
    reader = Reader(bundle(turn(value))["text/html"])
    *branches, _ = reader.summaries
    assert branches == ["users: 1 item", "0: 3 keys", "deep: 1 key", "x: 2 items"]
    assert reader.opened[:2] == [True, False]
    assert 'tags: ["a", "b"]' in reader.data
    assert "count: 1" in reader.data
    assert "2.12346" in reader.data


def test_a_large_table_says_how_large_it_is_and_scrolls():
    rows = [{f"c{column}": column * number for column in range(3)} for number in range(96)]
    shown = bundle(turn(rows))
    assert "96 rows × 3 columns" in shown["text/html"]
    assert "overflow:auto" in shown["text/html"]
    assert len(Reader(shown["text/html"]).cells) == 97 * 3
    assert "(96 rows × 3 columns; the first 20 rows shown)" in shown["text/plain"]
    assert shown["text/plain"].count("\n") < 26


def test_every_column_of_a_wide_table_is_in_the_page():
    row = {f"column {number}": number for number in range(40)}
    assert Reader(bundle(turn([row] * 10))["text/html"]).cells[:40] == [*row]


@pytest.mark.parametrize("value", [[], [{}], [1, 2], [{"a": 1}, 2], {}, {"a": [[]]}, "text", 7, False])
def test_what_is_no_list_of_rows_is_shown_as_it_is(value):
    html = bundle(turn(value))["text/html"]
    assert "<table" not in html
    assert str(value if isinstance(value, str) else "").strip() in Reader(html).data
    assert Reader(html).data.split() != Reader(bundle(turn())["text/html"]).data.split()


def test_the_value_is_shown_when_it_is_false_or_zero_but_not_when_there_is_none():
    assert bundle(turn(False))["text/plain"].startswith("False\n")
    assert bundle(turn(0))["text/plain"].startswith("0\n")
    assert "None" not in bundle(turn(None))["text/plain"]


@pytest.mark.parametrize("form", FORMS)
def test_a_failure_is_one_sentence_with_the_next_step(form):
    shown = read(bundle(failure("ZeroDivisionError", "division by zero")), form)
    sentence = "ZeroDivisionError: division by zero. Run the cell again, or say in the prompt what to do differently."
    assert shown.count(sentence) == 1
    assert shown.count("division by zero") == 1


def test_a_failure_of_a_tool_leads_to_its_own_traceback():
    seen = Transcript.from_result(failure("ToolFailed", "get raised KeyError: 'x'"))
    assert "%codeact traceback" in read(bundle(seen), "text/html")
    seen.tool_error = "Traceback: in get"
    assert Reader(to_html(seen)).summaries[0] == "Traceback of your function"
    assert "Traceback: in get" in Reader(to_html(seen)).data


def test_the_line_that_failed_is_shown_and_marked_in_the_program():
    error = ProgramFailure(kind="KeyError", message="'region'", line=2)
    html = bundle(turn(program="a = 1\nb = a['region']\nc", error=error))["text/html"]
    assert "<ol style=" in html and 'start="2"' in html
    assert html.count("border-left:3px solid") == 2
    assert "KeyError: 'region' (line 2 of the program)." in Reader(html).data


@pytest.mark.parametrize(
    ("kind", "message", "says"),
    [
        ("Refused", "Line 1 imports `matplotlib`, which is not in the sandbox.", "The program could not run. Line 1 imports `matplotlib`, which is not in the sandbox. Run the cell again"),
        ("TimedOut", "the program was stopped after 5 s", "The run took too long: the program was stopped after 5 s. Ask for less at once"),
        ("ModelError", "No endpoint. Set OPENAI_BASE_URL.", "No endpoint. Set OPENAI_BASE_URL."),
        ("Oops", "", "Oops. Run the cell again"),
    ],
)  # fmt: skip
def test_each_kind_of_failure_is_a_sentence_of_its_own(kind, message, says):
    assert bundle(failure(kind, message))["text/plain"].startswith(says)


def test_the_traceback_of_the_program_is_in_the_html():
    assert "line 3, in share" in Reader(bundle(failure(traceback="line 3, in share"))["text/html"]).data


SENT = [call("send_email", to="a"), call("look", to="b"), call("send_email", to="c")]
SENT[1] = replace(SENT[1], call=replace(SENT[1].call, is_read_only=True))


@pytest.mark.parametrize("form", FORMS)
def test_after_a_stop_what_was_done_already_follows_at_once(form):
    stopped = turn(error=ProgramFailure(kind="Interrupted", message="stopped by the user"), stopped=True, calls=SENT)
    shown = read(bundle(stopped), form).replace("\n", " ")
    assert shown.index("Stopped.") < shown.index("Already done")
    assert "Already done: send_email × 2." in shown
    assert "stopped by the user" not in shown


def test_after_a_failure_and_a_denial_what_was_done_already_comes_first():
    for error in (
        ProgramFailure(kind="KeyError", message="'x'"),
        ProgramFailure(kind="ToolDenied", message="the user denied pay"),
    ):
        assert bundle(turn(error=error, calls=SENT))["text/plain"].startswith("Already done: send_email × 2. ")
    assert "You denied pay. Run the cell again to be asked again." in bundle(turn(error=error))["text/plain"]


def test_a_call_that_a_stop_cut_off_may_have_had_effects():
    cut_off = call("pay", answer=failed("stopped; it may have had effects"))
    stopped = turn(error=ProgramFailure(kind="Interrupted", message=""), stopped=True, calls=[cut_off])
    assert "Stopped. 1 call may have had effects." in bundle(stopped)["text/plain"]
    nothing = turn(error=ProgramFailure(kind="Interrupted", message=""), stopped=True)
    assert "Stopped. No call with effects was made." in bundle(nothing)["text/plain"]


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
    assert states == ["asking the model", "writing program", "starting the sandbox", "running"]


def test_a_program_is_shown_while_it_is_written():
    seen = transcript(STARTED, ModelRequested(number=1), ProgramDelta(text="rows = "), ProgramDelta(text="[1]"))
    assert "    rows = [1]" in bundle(seen)["text/plain"]


def test_an_open_call_is_shown_without_an_answer_until_it_has_one():
    wanted = ToolCall(id=1, name="get", arguments={"n": 1})
    events = [STARTED, ModelRequested(number=1), ready("get(n=1)"), RUNNING, CallRequested(run=1, call=wanted)]
    assert "→ get(n=1) = …" in bundle(transcript(*events))["text/plain"]
    events.append(CallFinished(run=1, call=wanted, answer=CallResult(value=[5]), seconds=0.004))
    assert "→ get(n=1) = [5]" in bundle(transcript(*events))["text/plain"]


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
    shown = bundle(seen, "full")
    _, summary = Reader(shown["text/html"]).summaries
    assert summary == "program 1, then asked again: NameError: first_try"
    assert "before" in Reader(shown["text/html"]).data
    for text in shown.values():
        assert text.index("first") < text.index("second")
    assert "program 1:" in shown["text/plain"]
    assert "program 2:" in shown["text/plain"]
    assert "first" not in bundle(seen)["text/plain"]


def test_a_file_keeps_twenty_calls_and_the_number_of_all():
    records = [call(number=number, n=number) for number in range(1, 208)]
    records.insert(150, call("pay", answer=failed("no"), number=300))
    shown = bundle(turn(calls=records), "full")
    for form in FORMS:
        assert read(shown, form).count("get_orders(n=") == 19
        assert "pay() → ToolFailed: no" in read(shown, form) or "pay() = ToolFailed: no" in shown[form]
        assert "… 188 more calls" in read(shown, form)
    assert "208 calls, 1 failed or denied" in Reader(shown["text/html"]).data
    assert sum(map(len, shown.values())) < 20_000


def test_a_call_that_a_user_decided_says_so():
    assert "allowed by you" in Reader(bundle(turn(calls=[call(by="user")]))["text/html"]).data


def test_waiting_for_the_user_is_among_the_seconds_only_when_there_was_some():
    assert "waiting" not in describe_seconds(turn())[1]
    assert describe_seconds(turn(timings=Timings(waiting=2.5)))[1].endswith(", waiting for you 2.5 s")


def test_a_boundary_that_is_weaker_than_it_could_be_is_said_above_the_answer():
    isolation = type(ISOLATION)(backend="embedded", boundary="WebAssembly", missing=("Landlock",))
    for form in FORMS:
        shown = read(bundle(turn(7, isolation=isolation)), form)
        assert shown.index("This system has no Landlock: the sandbox ran without it.") < shown.index("7")
        assert "Landlock" not in read(bundle(turn(7)), form)


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


def test_the_live_card_gets_the_elements_of_the_saved_form_around_its_programs():
    seen = transcript(replace(STARTED, note="Recorded"), ModelRequested(number=1), ProgramDelta(text="1"), ready("1"))
    running = to_card(seen)
    assert [node[2] for node in running["above"]] == ["Recorded"]
    assert running["below"] == []
    seen.apply(ItemDisplayed(item=DisplayItem(kind="text", data="shown")))
    assert "shown" in json.dumps(to_card(seen)["below"])
    file = OutputFile(name="a.csv", path="out/a.csv", size=1, media_type="text/csv")
    seen.apply(over(turn([{"a": 1}], program="1", answer="Here.", files=[file])))
    done = to_card(seen)
    assert done["above"][0] == running["above"][0]
    assert [
        word in json.dumps(node)
        for word, node in zip(("Here.", "shown", "table", "a.csv"), done["above"][1:], strict=True)
    ] == [True] * 4
    assert done["below"] == []
    assert done["head"]["summary"] == "1 program · 1,234 tokens · nothing was run"


def test_the_live_card_draws_every_element_that_the_saved_form_has():
    script = (Path(__file__).parents[2] / "extension" / "codeact" / "elements.js").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^const TAGS = new Set\((.*?)\);", script, re.DOTALL | re.MULTILINE)
    known = {*"".join(re.findall(r'"([^"]*)"', listed)).split()}
    assert ELEMENTS - known == {
        "a",
        "button",
    }  # a page of a widget does not know the folder, and has buttons of its own


def test_what_a_program_showed_is_in_the_card_in_the_order_of_the_program():
    items = [
        DisplayItem(kind="table", title="Five", data={"columns": ["n"], "rows": [[1.23456789]], "total": 1}),
        DisplayItem(kind="chart", data={"title": "Sales", "mark": "bar", "data": {"values": [{"a": 1}]}}),
        DisplayItem(
            kind="image",
            data={"mime": "image/png", "width": 4, "height": 3, "base64": "iVBORw0K", "alternative": "A plot"},
        ),
    ]
    seen = transcript(
        STARTED, ModelRequested(number=1), ready("1"), *(ItemDisplayed(item=item) for item in items), over(turn(7))
    )
    seen.pictures[1] = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\0\0\1\0" + b"\0" * 9).decode()
    reader = Reader(to_html(seen))
    assert reader.pictures == ["Chart: Sales", "A plot"]
    assert reader.data.index("Five") < reader.data.index("1.23457") < reader.data.index("7")
    assert 'width="128"' in to_html(seen)
    text = to_text(seen)
    assert [text.index(part) for part in ("Five", "Chart: Sales", "A plot", "\n7\n")] == sorted(
        text.index(part) for part in ("Five", "Chart: Sales", "A plot", "\n7\n")
    )


def test_the_items_of_a_program_that_failed_go_when_the_next_one_begins():
    shown = ItemDisplayed(item=DisplayItem(kind="text", data="first"))
    broken = RunFinished(run=1, outcome=RunOutcome(failure=ProgramFailure(kind="KeyError", message="x")))
    events = [STARTED, ModelRequested(number=1), ready("1"), RUNNING, shown, broken]
    assert len(transcript(*events).items) == 1
    assert transcript(*events, RetryStarted(attempt=2, reason="KeyError")).items == []
    fine = RunFinished(run=1, outcome=RunOutcome())
    assert len(transcript(*events[:-1], fine, RetryStarted(attempt=2, reason="observed")).items) == 1


def test_a_figure_that_a_tool_returned_is_shown_once_and_not_as_a_text():
    assert "figure" not in bundle(turn("<figure 640 × 480 pixels, shown to the user>"))["text/plain"]
    assert "figure" in bundle(turn("<figure out>"))["text/plain"]


def test_the_texts_to_copy_are_attributes_of_hidden_buttons_and_nothing_else():
    text = "a = '\"><script>alert(1)</script>' & 1\n\nb"
    buttons = Reader(to_html(replace(Transcript.from_result(turn(1)), copies={"Copy as cell": text}))).buttons
    assert [*buttons] == ["Copy answer", "Copy program", "Copy as cell"]
    assert buttons["Copy as cell"]["data-codeact-copy"] == text
    assert all(button["style"].startswith("display:none") for button in buttons.values())
    assert [button.get("data-codeact-of") for button in buttons.values()] == ["answer", "program", None]
    assert "<button" not in to_html(transcript(STARTED, ModelRequested(number=1)))
