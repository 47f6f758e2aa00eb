from __future__ import annotations

import random
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codeact_kernel.model.answer_parser import ANSWER_CHARACTERS, AnswerParser, Extracted
from codeact_kernel.model.reasoning import TAG

TOOLS = ("get_orders", "send_mail")


def extract(text: str, reason: str | None = "stop", size: int = 0, limit: int = 64 << 10) -> Extracted:
    """Read `text` as a whole or in pieces of `size`, to its end."""
    reader = AnswerParser(limit, TOOLS)
    for start in range(0, len(text), size or len(text) or 1):
        reader.feed(text[start : start + (size or len(text))])
    return reader.finish(reason)


def shown(reader: AnswerParser, text: str, size: int) -> dict[str, str]:
    """What the live display has at the end, by kind."""
    display = {"prose": "", "program": ""}
    for start in range(0, len(text), size):
        for piece in reader.feed(text[start : start + size]):
            if piece.kind == "withdrawn":
                display = {"prose": "", "program": ""}
            else:
                display[piece.kind] += piece.text
    return display


def read_until_done(text: str) -> str:
    """The part of `text` that a caller reads, character by character."""
    reader = AnswerParser()
    for index, character in enumerate(text):
        reader.feed(character)
        if reader.done:
            return text[: index + 1]
    return text


def test_the_first_python_block_is_the_program_and_the_words_before_it_are_prose() -> None:
    found = extract("Here it is:\n\n```python\nx = 1\nprint(x)\n```\n")
    assert found == Extracted(program="x = 1\nprint(x)", prose="Here it is:")


@pytest.mark.parametrize("tag", ["python", "py", "python3", "ipython", "tool_code", "", "Python", " python title=x"])
def test_a_block_with_a_tag_of_python_or_none_is_a_program(tag: str) -> None:
    assert extract(f"```{tag}\nprint(1)\n```").program == "print(1)"


@pytest.mark.parametrize("tag", ["bash", "json", "text", "output", "pythonic"])
def test_a_block_of_another_language_is_prose(tag: str) -> None:
    text = f"```{tag}\nprint(1)\n```"
    assert extract(text) == Extracted(program=None, prose=text)


def test_a_program_after_a_block_of_another_language_is_found() -> None:
    found = extract("```bash\nls\n```\nthen\n```py\nprint(1)\n```")
    assert found == Extracted(program="print(1)", prose="```bash\nls\n```\nthen")


@pytest.mark.parametrize(
    "text",
    [
        "~~~python\nprint(1)\n~~~",
        "````python\nprint(1)\n````",
        "```python\nprint(1)\n`````",
        "```python\r\nprint(1)\r\n```\r\n",
        "```python\rprint(1)\r```\r",
        "   ```python\n   print(1)\n   ```",
        " ```python\nprint(1)\n```",
        "```python\nprint(1)\n   ```  \n",
    ],
)
def test_fences_have_all_the_forms_of_markdown(text: str) -> None:
    assert extract(text) == Extracted(program="print(1)", prose="")


def test_a_shorter_or_other_fence_does_not_close_a_longer_one() -> None:
    body = 'text = """\n```\n~~~~\n"""'
    assert extract(f"````python\n{body}\n````\n").program == body


@pytest.mark.parametrize(
    "body", ['x = """\n```\n"""', 'x = """\n```\ncode\n```\n"""\nlen(x)', "f('''\n```json\n{}\n```\n''')"]
)
def test_backticks_at_a_line_start_inside_a_string_do_not_end_the_program(body: str) -> None:
    assert extract(f"```python\n{body}\n```\nThat is it.").program == body


def test_backticks_in_a_string_that_break_the_program_are_named_as_the_reason() -> None:
    found = extract('```python\nx = """\n```\ncode\n"""\nlen(x]\n```')
    assert found.program is None
    assert "closed the code block" in found.problem
    assert "four backticks" in found.problem


def test_the_indentation_of_the_program_is_kept() -> None:
    body = "if x:\n    for y in z:\n        print(y)\n  # odd"
    assert extract(f"```python\n{body}\n```").program == body


def test_inline_code_in_backticks_opens_nothing() -> None:
    text = "Use ```print(1)``` or\n```print(2)```\nas you like."
    assert extract(text) == Extracted(program=None, prose=text)


def test_words_without_code_are_the_answer() -> None:
    assert extract("Alice spent the most, 120 euros.") == Extracted(
        program=None, prose="Alice spent the most, 120 euros."
    )


@pytest.mark.parametrize("text", ["", " \n\n", "<think>hm</think>", "<think>hm"])
def test_an_empty_answer_is_a_problem(text: str) -> None:
    assert extract(text).problem == "The answer was empty: the answer has to be one ```python block, or words."


def test_an_empty_block_is_a_problem() -> None:
    found = extract("Sure:\n```python\n\n```")
    assert (found.program, found.prose) == (None, "Sure:")
    assert "The code block was empty" in found.problem


def test_an_answer_cut_off_inside_the_program_gives_no_program() -> None:
    found = extract("```python\nprint(1)\npri", "length")
    assert found.program is None
    assert "cut off" in found.problem


@pytest.mark.parametrize("end", ["", "\n\n", "\nAnd another thing." * 200])
def test_an_answer_cut_off_where_nothing_more_would_come_still_gives_the_program(end: str) -> None:
    assert extract(f"```python\nprint(1)\n```{end}", "length") == Extracted(program="print(1)", prose="")


def test_an_answer_cut_off_among_words_may_be_reasoning_and_gives_no_program() -> None:
    found = extract("```python\nprint(1)\n```\nNo, that would pri", "length")
    assert found.program is None
    assert "cut off" in found.problem


def test_words_that_were_cut_off_are_a_problem_too() -> None:
    found = extract("Alice spent", "length")
    assert found.prose == "Alice spent"
    assert "cut off" in found.problem


@pytest.mark.parametrize("reason", ["content_filter", "refusal"])
def test_a_filtered_answer_is_a_problem(reason: str) -> None:
    found = extract("```python\nprint(", reason)
    assert found.program is None
    assert "content filter" in found.problem


def test_a_forgotten_closing_fence_is_forgiven() -> None:
    assert extract("```python\nprint(1)") == Extracted(program="print(1)", prose="")


@pytest.mark.parametrize("text", ["```python\nprint(1)", "print(1)"])
def test_a_program_whose_end_nobody_confirmed_is_not_taken(text: str) -> None:
    found = extract(text, None)
    assert found.program is None
    assert "broke off" in found.problem


@pytest.mark.parametrize(
    "text", ["print(1)", "x = 5\nx", "import json", "a += 1", "n: int = 3", "f(\n  1,\n)", "for x in y:\n    go(x)"]
)
def test_bare_python_that_does_something_is_a_program(text: str) -> None:
    assert extract(f"\n{text}\n") == Extracted(program=text, prose="")


@pytest.mark.parametrize(
    "text", ["Done", "42", "'Alice'", "Total: 120", "Alice (120)", "Alice (120), Bob (80)", "yes, no", "print", "-5"]
)
def test_words_that_happen_to_be_python_stay_words(text: str) -> None:
    assert extract(text) == Extracted(program=None, prose=text)


@pytest.mark.parametrize("text", ["(" * 5000, "-" * 60_000 + "f()", "f()\0", "f(" * 90 + ")" * 90])
def test_text_that_breaks_a_parser_breaks_nothing(text: str) -> None:
    found = extract(text)
    assert found.program in (None, text)
    assert found.prose in ("", text)


def test_a_character_that_arrives_in_halves_is_put_together() -> None:
    assert extract("```python\nprint('\ud83d\ude00')\n```", size=1).program == "print('\U0001f600')"


def test_half_a_character_is_replaced() -> None:
    assert extract("Fine \ud83d.").prose == "Fine \ufffd."


def test_a_leading_thought_is_neither_prose_nor_program() -> None:
    text = "\n<think>Perhaps\n```python\nno()\n```\n</think>\n\nSo:\n```python\nyes()\n```"
    assert extract(text) == Extracted(program="yes()", prose="So:")


def test_reading_goes_on_to_the_end_since_only_then_it_is_known_what_was_a_draft() -> None:
    text = "```python\na()\n```\nThis program prints the orders. " + "No, it should be another one, because x > 2. " * 9
    assert read_until_done(text) == text


def test_reading_ends_when_the_text_after_the_program_repeats_itself() -> None:
    reader, said = AnswerParser(), 0
    reader.feed("```python\na()\n```")
    while not reader.done:
        said += len("\nAnd another thing.")
        reader.feed("\nAnd another thing.")
    assert said < 3_000
    assert reader.finish(None) == Extracted(program="a()", prose="")


@pytest.mark.parametrize("size", [0, 1, 1_000])
def test_an_endless_text_after_the_program_is_read_to_a_limit_and_may_be_reasoning(size: int) -> None:
    chance = random.Random(7)
    words = " ".join("".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=5)) for _ in range(20_000))
    text = f"```python\na()\n```\n{words}"
    reader = AnswerParser()
    for start in range(0, len(text), size or len(text)):
        reader.feed(text[start : start + (size or len(text))])
        if reader.done:
            break
    assert reader.done
    found = reader.finish(None)
    assert found.program is None
    assert "went on for 32,000 characters after its program" in found.problem


def test_a_block_of_another_language_does_not_end_the_reading() -> None:
    text = "```bash\nls\n```\nand then this"
    assert read_until_done(text) == text


def test_the_display_never_sees_a_fence_or_what_follows_the_program() -> None:
    text = "Now:\n ```python\n x = '``'\n ```\nThis is it."
    for size in range(1, len(text) + 1):
        assert shown(AnswerParser(), text, size) == {"prose": "Now:\n", "program": "x = '``'\n"}


def test_a_block_that_is_no_program_is_shown_as_it_stands() -> None:
    text = "- ````\n - x\n  ````\n> ```json\n>  {}\n"
    assert shown(AnswerParser(), text, 1)["prose"] == text


def test_text_is_shown_as_soon_as_it_cannot_be_a_fence() -> None:
    reader = AnswerParser()
    seen = [
        [piece.text for piece in reader.feed(text)] for text in ("He", "llo\n", "``", "`py", "\n", "  ", " x", "=1")
    ]
    assert seen == [["He"], ["llo\n"], [], [], [], [], ["   x"], ["=1"]]


def test_a_program_over_the_limit_is_not_taken_and_ends_the_reading() -> None:
    reader = AnswerParser(program_bytes=10)
    reader.feed("```python\n" + "é" * 5 + "\n")
    assert reader.done
    found = reader.finish(None)
    assert found.program is None
    assert found.problem == "The program was longer than 10 bytes: write a shorter one."


def test_a_program_at_the_limit_is_taken() -> None:
    assert extract("```python\n123456789\n```", limit=10).program == "123456789"


@pytest.mark.parametrize("start", ["", "<think>", "```json\n", "```"])
def test_an_endless_answer_is_read_to_a_limit(start: str) -> None:
    reader = AnswerParser()
    reader.feed(start)
    rounds = 0
    while not reader.done:
        reader.feed("word " * 1000)
        rounds += 1
    assert rounds == ANSWER_CHARACTERS // 5000 + 1
    found = reader.finish(None)
    assert found.problem.startswith("The answer was longer than 1,048,576 characters")
    assert len(found.prose) <= ANSWER_CHARACTERS


MARKS = [
    "> ",
    "- ",
    "<code>",
    "</code>",
    "</thinking>",
    "<|python_tag|>",
    "```python\n",
    "\n```\n",
    "```",
    "````",
    "~~~",
    "`",
    "~",
    "\n",
    "\r\n",
    "\r",
    " ",
    "   ",
    "    ",
    "\t",
    "<think>",
    "</think>",
    "<",
]
WORDS = [
    "get_orders(1)",
    "x",
    '{"name": "execute_code", "arguments": "f()"}',
    "python",
    "json",
    "x = 1",
    "f()",
    "word",
    "é",
    "\ud83d",
    "\ude00",
]
TEXTS = st.lists(st.sampled_from([*MARKS, *WORDS]), max_size=30).map("".join)


@given(TEXTS, st.integers(1, 5), st.sampled_from(["stop", "length", None]))
@example("word\n> ```python\njson    </think>    ", 5, "stop")  # a quoted block that ends without a fence
def test_how_the_answer_is_cut_makes_no_difference(text: str, size: int, reason: str | None) -> None:
    assert extract(text, reason, size) == extract(text, reason)
    assert shown(AnswerParser(), text, max(len(text), 1)) == shown(AnswerParser(), text, size)


@given(TEXTS)
def test_words_that_were_shown_are_the_beginning_of_what_is_found(text: str) -> None:
    reader = AnswerParser()
    display = shown(reader, text, 1)
    found = reader.finish("stop")
    if TAG.search(text) is None and found.program is None and not found.problem and not display["program"]:
        assert found.prose.startswith(display["prose"].strip())
    assert not re.search("\r", display["prose"] + display["program"])
