"""JSON that means one thing only: what is refused, and that everything else comes back as it went."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeact_kernel.bridge.strict_json import dumps, loads
from codeact_kernel.errors import BridgeError

LIMIT = 1 << 20
DEPTH = 32
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


def same(a: object, b: object) -> bool:
    """Equal, of the same types all the way down, and with the sign of zero."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    return a == b


def refused(data: bytes, depth: int = DEPTH) -> str:
    with pytest.raises(BridgeError) as caught:
        loads(data, limit=LIMIT, depth=depth)
    return str(caught.value)


@settings(deadline=None)
@given(json_values)
def test_every_json_value_comes_back_as_it_went(value):
    assert same(loads(dumps(value, limit=LIMIT), limit=LIMIT, depth=100), value)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_either_decoded_or_refused_as_a_broken_bridge(data):
    with contextlib.suppress(BridgeError):
        loads(data, limit=LIMIT, depth=DEPTH)


@pytest.mark.parametrize(
    "text",
    ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "[0.5, 1e400]", '{"a": NaN}'],
)
def test_a_number_that_is_not_finite_is_refused(text):
    refused(text.encode())


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '{"a": 1, "\\u0061": 2}', '[{"x": {"": 1, "": 2}}]'])
def test_an_object_with_a_key_twice_is_refused(text):
    assert "duplicate" in refused(text.encode())


@pytest.mark.parametrize(
    "text",
    ['"\\ud800"', '"\\udfff tail"', '["ok", {"a": "\\ud83d"}]', '{"\\udc00": 1}', '"\\ude00\\ud83d"'],
)
def test_a_lone_surrogate_that_is_escaped_is_refused_in_text_and_in_keys(text):
    assert "surrogate" in refused(text.encode())


def test_a_surrogate_that_is_not_escaped_is_no_utf8_and_refused():
    refused(b'"\xed\xa0\x80"')


def test_a_pair_of_escaped_surrogates_is_the_one_character_that_it_means():
    assert loads(b'"\\ud83d\\ude00"', limit=LIMIT, depth=DEPTH) == "😀"


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, math.nan, math.inf, object(), {1, 2}, b"x", 1j])
def test_what_json_cannot_carry_is_refused_before_it_is_sent(value):
    with pytest.raises(BridgeError):
        dumps(value, limit=LIMIT)


def test_a_list_in_a_circle_is_refused_before_it_is_sent():
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(BridgeError):
        dumps(circle, limit=LIMIT)  # type: ignore[arg-type]


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_twenty_thousand_levels_are_refused_without_recursion(opening):
    assert "deeper" in refused(opening * 20_000)


def test_depth_is_counted_as_nesting_and_not_as_brackets():
    assert loads(b"[" + b",".join([b"[]"] * 1_000) + b"]", limit=LIMIT, depth=2) == [[]] * 1_000
    assert loads(b'"' + b"[{" * 1_000 + b'"', limit=LIMIT, depth=2) == "[{" * 1_000
    assert loads(b'["' + b'\\"[' * 1_000 + b'"]', limit=LIMIT, depth=2) == ['"[' * 1_000]
    refused(b"[[[]]]", depth=2)


def levels(value: object) -> int:
    inner = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    return isinstance(value, list | dict) + max(map(levels, inner), default=0)


@settings(deadline=None)
@given(json_values, st.integers(1, 5))
def test_what_is_deeper_is_refused_and_nothing_else(value, depth):
    data = dumps(value, limit=LIMIT)
    if levels(value) > depth:
        assert "deeper" in refused(data, depth)
    else:
        assert same(loads(data, limit=LIMIT, depth=depth), value)


@pytest.mark.parametrize(
    "data",
    [b"[" * 9, b"[" * 9 + b"]" * 8, b"[[],[],[],[[[[[[[[", b'{"]":' * 9, b'["]",' * 9, b"[" * 4 + b'[["]]]]"' * 5],
)
def test_brackets_that_stay_open_count_as_levels(data):
    assert "deeper" in refused(data, depth=4)


def test_text_that_never_ends_is_refused_in_one_pass():
    """Scanning it again from each quote would take hours, in the process of the kernel."""
    refused(b"[" * 40 + b'"' + b'\\"' * (LIMIT // 2 - 40))


def test_an_integer_of_five_thousand_digits_is_refused():
    refused(b"7" * 5_000)


def test_an_integer_beyond_64_bits_is_carried_exactly():
    assert loads(dumps(2**70, limit=LIMIT), limit=LIMIT, depth=DEPTH) == 2**70


@pytest.mark.parametrize(
    "data", [b"", b" ", b"{", b"[1,]", b"{'a': 1}", b"01", b"tru", b'"\x00"', b"\xff", b"1 2", b"\xef\xbb\xbf1"]
)
def test_garbage_is_refused(data):
    refused(data)


def test_length_is_checked_before_anything_is_decoded():
    assert "limit" in refused(b"\xff" * (LIMIT + 1))
    with pytest.raises(BridgeError, match="limit"):
        dumps("x" * LIMIT, limit=LIMIT)
