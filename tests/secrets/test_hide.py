"""The texts of secrets are found in all forms, wherever they begin and however they come."""

from __future__ import annotations

import base64
import html
import json
import random
import secrets as tokens
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeact_kernel import Secret
from codeact_kernel.secrets import AS_IS, StreamHider, hide, hide_in, mask

TRICKY = [
    "plain-token-0123456789",
    "r.*[eg](ex)+$^|?\\d{2}",
    "line one\nline two\r\n\ttabbed",
    "pässwörd…🙂 mit Raum",
    "quo\"ted'and&<escaped>",
    "a+b/c=d?e&f%20g h",
    "\\x00\x00back\\slash\\",
]
ENCODINGS = {
    "plain": str,
    "json": json.dumps,
    "json without ASCII": lambda text: json.dumps(text, ensure_ascii=False),
    "repr": repr,
    "bytes": lambda text: repr(text.encode()),
    "html": html.escape,
    "url": lambda text: quote(text, safe=""),
    "path": quote,
    "form": quote_plus,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "urlsafe base64": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "basic auth": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "longer basic auth": lambda text: base64.urlsafe_b64encode(f"users:{text}, and more".encode()).decode(),
}


@pytest.fixture(scope="module", autouse=True)
def planted() -> None:
    for number, text in enumerate(TRICKY):
        Secret(text, name=f"T{number}")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_secret_is_found_in_every_usual_encoding(encoding: str) -> None:
    for number, text in enumerate(TRICKY):
        hidden = hide(f"before {ENCODINGS[encoding](text)} after")
        assert f"[secret T{number}]" in hidden
        assert hidden.startswith("before ")
        assert hidden.endswith(" after")


@dataclass(frozen=True)
class Inner:
    text: str
    parts: tuple[object, ...] = ()


@dataclass(frozen=True)
class Outer:
    inner: Inner
    untouched: object = field(default=None, metadata=AS_IS)


def test_a_secret_is_found_in_keys_and_in_everything_nested() -> None:
    token = TRICKY[0]
    value = Outer(Inner("fine", ([{token: [f"x{token}"]}], Inner(token))), token)
    hidden = hide_in(value)
    assert hidden.inner == Inner("fine", ([{"[secret T0]": ["x[secret T0]"]}], Inner("[secret T0]")))
    assert hidden.untouched == token


def test_a_value_without_a_secret_is_the_same_object() -> None:
    value = Outer(Inner("fine", ([{"a": [1, None, 2.5]}],)))
    assert hide_in(value) is value


def test_a_text_with_a_secret_is_hidden_in_json_that_is_text_itself() -> None:
    text = TRICKY[2]
    assert "line one" not in json.dumps(hide_in([json.dumps({"a": text})]))


def test_of_two_secrets_of_which_one_contains_the_other_nothing_is_left() -> None:
    Secret("inner-7f3a", name="INNER")
    Secret("outer-inner-7f3a-outer", name="OUTER")
    assert hide("outer-inner-7f3a-outer, inner-7f3a") == "[secret OUTER], [secret INNER]"


def test_of_two_secrets_that_overlap_nothing_is_left() -> None:
    Secret("begin99-middle", name="BEGIN")
    Secret("middle-ending99", name="END")
    assert hide("x begin99-middle-ending99 y") == "x [secret BEGIN] y"


def test_hidden_text_stays_as_it_is() -> None:
    once = hide(f"{TRICKY[0]} {TRICKY[1]}")
    assert hide(once) == once


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.sampled_from(TRICKY), st.text("ab\n", max_size=12))
def test_a_secret_in_pieces_is_hidden_and_nothing_else_is_changed(cuts: list[int], token: str, around: str) -> None:
    text, hider, shown = f"{around}{token}{around}{token[:4]}", StreamHider(), ""
    at = 0
    for size in [*cuts, len(text)]:
        shown += hider.feed(text[at : at + size])
        at += size
    shown += hider.flush()
    assert shown == hide(text)


def test_a_longer_secret_in_pieces_is_hidden_although_its_beginning_is_one_too() -> None:
    Secret("short-secret-1", name="SHORT")
    Secret("short-secret-1-and-long", name="LONG")
    hider = StreamHider()
    pieces = [hider.feed("see short-secret-1"), hider.feed("-and-"), hider.feed("long!"), hider.flush()]
    assert "".join(pieces) == "see [secret LONG]!"


def test_a_piece_that_begins_no_secret_is_not_held_back() -> None:
    assert StreamHider().feed("step 1 of 9.\n") == "step 1 of 9.\n"


@pytest.mark.parametrize("token", TRICKY)
def test_a_mask_keeps_the_number_of_bytes_and_characters(token: str) -> None:
    data = f"before {token} after".encode()
    masked = mask(data)
    assert token.encode() not in masked
    assert (len(masked), len(masked.decode())) == (len(data), len(data.decode()))


def test_the_search_takes_linear_time_in_hostile_text() -> None:
    """Counted and not timed: a quadratic search of this would take minutes, and the suite's limit ends it."""
    Secret("ab" * 500 + "c", name="REPEATED")
    text = "ab" * 1_000_000
    assert hide(text) == text
    hider = StreamHider()
    assert "".join([hider.feed(text), hider.flush()]) == text


def test_a_hundred_random_secrets_are_all_found() -> None:
    made = [Secret(tokens.token_urlsafe(24), name=f"H{number}") for number in range(100)]
    random.shuffle(made)
    assert hide(" ".join(secret.reveal() for secret in made)) == " ".join(f"[secret {secret.name}]" for secret in made)
