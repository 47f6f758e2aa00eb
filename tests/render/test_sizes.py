"""A notebook stays small whatever a program does, and what is cut is said."""

from __future__ import annotations

import pytest

from codeact_kernel.events import ModelRequested, OutputWritten, ProgramReady, RunStarted, TurnStarted
from codeact_kernel.render import Transcript, bundle

from .cards import ISOLATION, Reader, call, failed, failure, turn

MOST = 300_000
MOST_ESCAPED = 500_000
"""Of text that is all markup: each character becomes several."""


def assert_small_and_honest(shown: dict[str, str], *says: str, most: int = MOST) -> None:
    Reader(shown["text/html"])
    for form, text in shown.items():
        assert len(text.encode()) < most, form
        for word in says:
            assert word in text.replace("\\", ""), form


def test_ten_thousand_rows():
    rows = [{"user": number, "name": f"<user {number}>", "total": number / 7} for number in range(10_000)]
    assert_small_and_honest(bundle(turn(rows)), "10,000 rows × 3 columns; the first")


def test_rows_with_long_texts():
    rows = [{f"column {number}": "<long> " * 2_000 for number in range(20)} for _ in range(100)]
    assert_small_and_honest(bundle(turn(rows)), "left out", most=MOST_ESCAPED)


def test_one_row_with_one_long_text_shows_more_of_it():
    shown = bundle(turn([{"text": "x" * 100_000}]))
    assert_small_and_honest(shown, "left out")
    assert "x" * 500 in shown["text/html"]


def test_more_columns_than_fit():
    rows = [{f"c{number}": number for number in range(2_000)}]
    assert_small_and_honest(bundle(turn(rows)), "1 row × 2,000 columns; the first")
    assert (
        "101 rows × 21 columns; the first 20 rows and 20 columns shown"
        in bundle(turn([dict.fromkeys(map(str, range(21)), 1)] * 101))["text/plain"]
    )


def test_two_thousand_calls():
    records = [call(number=number, user=number) for number in range(1, 2_001)]
    assert_small_and_honest(bundle(turn(calls=records), "full"), "more calls")


def test_two_thousand_calls_with_long_arguments_and_answers():
    records = [call("a_tool", number=n, text="&" * 5_000, answer=failed("<no> " * 1_000)) for n in range(1, 2_001)]
    assert_small_and_honest(bundle(turn(calls=records), "full"), "more calls", "left out", most=MOST_ESCAPED)


@pytest.mark.parametrize(
    "value", ["x" * 1_000_000, list(range(200_000)), {str(number): "y" * 100 for number in range(10_000)}, [10**4000]]
)
def test_a_long_value(value):
    is_cut = len(str(value)) > 20_000
    assert_small_and_honest(
        bundle(turn(value)),
        *([{list: "200,000 items", dict: "10,000 rows", str: "left out"}[type(value)]] if is_cut else []),
    )


def test_a_long_name_of_a_tool_and_of_its_arguments():
    records = [call("n" * 1_000_000, **{"a" * 1_000_000: 1})]
    assert_small_and_honest(bundle(turn(calls=records), "full"), "left out")


def test_a_long_failure():
    shown = bundle(failure("E", "m" * 1_000_000, "t" * 1_000_000))
    assert_small_and_honest(shown, "left out")


def test_a_megabyte_of_output_in_a_result_that_is_shown_again():
    shown = bundle(turn(stdout="start" + "x" * 1_000_000 + "end"))
    assert_small_and_honest(shown, "some output is not shown here", "start", "end")


def test_a_flood_of_output_while_it_comes_in():
    seen = Transcript()
    for event in (
        TurnStarted(ask="Go.", model="m", note="", tools=()),
        ModelRequested(number=1),
        ProgramReady(program="flood()", attempt=1),
        RunStarted(run=1, isolation=ISOLATION),
    ):
        seen.apply(event)
    for number in range(300):
        seen.apply(OutputWritten(stream="stdout", text=f"line {number}\n" * 1_000))
    shown = bundle(seen)
    assert_small_and_honest(shown, "line 0", "line 299", "some output is not shown here")
    assert shown["text/plain"].count("not shown here") == 1


def test_the_longest_program():
    program = "x = [1, 'two', print(3)]\n" * 2_600
    assert len(program) < 64 << 10
    shown = bundle(turn(program=program), "full")
    Reader(shown["text/html"])
    assert shown["text/plain"].count("print(3)") == 2_600
