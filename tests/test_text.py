"""The helpers that write sentences: what they keep, and that they never exceed their bound."""

from __future__ import annotations

import pytest

from codeact_kernel.text import (
    collapse_whitespace,
    format_bytes,
    format_list,
    plural,
    quote,
    replace_unprintable,
    truncate,
    truncate_middle,
)


@pytest.mark.parametrize("mark", ["…", "...", ""])
@pytest.mark.parametrize("max_chars", [0, 1, 2, 3, 9, 10, 11])
def test_a_truncated_text_never_exceeds_its_bound(max_chars: int, mark: str):
    text = truncate("0123456789", max_chars, mark)
    assert len(text) <= max_chars
    assert (text == "0123456789") == (max_chars >= 10)


def test_the_middle_is_left_out_and_counted():
    assert truncate_middle("0123456789", 10) == "0123456789"
    assert truncate_middle("0123456789", 4) == "01 … 6 characters left out … 89"
    assert truncate_middle("0123456789", 5) == "01 … 5 characters left out … 789"
    assert truncate_middle("0123456789", 4, "<{}>", head=3) == "012<6>9"
    assert truncate_middle("x" * 2_000, 0) == " … 2,000 characters left out … "


def test_white_space_and_unprintable_characters_are_replaced():
    assert collapse_whitespace("  a \n\t b\u2028c ") == "a b c"
    assert replace_unprintable("a\u202eb\nc", "?") == "a?b?c"


def test_code_is_quoted_in_backticks_and_bounded():
    assert quote("name") == "`name`"
    assert quote("a\nb") == "`a b`"
    assert quote("x" * 100) == f"`{'x' * 79}…`"


def test_lists_and_numbers_read_as_in_a_sentence():
    assert format_list(["a", "b"], 2) == "a, b"
    assert format_list(["a", "b", "c"], 2, " and others") == "a, b and others"
    assert [plural(count, "call") for count in (0, 1, 1_200)] == ["0 calls", "1 call", "1,200 calls"]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1_023, "1,023 bytes"),
        (1 << 10, "1 KiB"),
        (3 << 19, "1.5 MiB"),
        (1 << 31, "2 GiB"),
    ],
)
def test_bytes_are_written_in_the_largest_unit_that_fits(size: int, text: str):
    assert format_bytes(size) == text
