# pyright: basic
"""The text of a description: JSON or YAML, from anybody."""

from __future__ import annotations

import json

import pytest

from codeact_kernel.errors import UserError
from codeact_kernel.sources.openapi_text import MAX_DEPTH, read_description

HEAD = "openapi: 3.1.0\npaths: {}\n"


def read(text: str) -> dict:
    return read_description(text.encode(), "shop.yaml")


def test_yaml_and_json_are_the_same():
    plain = {"openapi": "3.0.0", "paths": {"/a": {"get": {"responses": {"200": {"x": [1, 1.5, None, True, "a"]}}}}}}
    text = "openapi: '3.0.0'\npaths:\n  /a:\n    get:\n      responses:\n        200:\n          x: [1, 1.5, null, true, a]\n"
    assert read(text) == read(json.dumps(plain)) == plain
    assert read_description(b"\xef\xbb\xbf" + json.dumps(plain).encode(), "x") == plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("2024-01-31", "2024-01-31"),
        ("1:30", "1:30"),
        ("0x1F", "0x1F"),
        ("'1'", "1"),
        ("-7", -7),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("~", None),
        ("!!int 'a'", "a"),
        ("!!python/object/apply:os.system ['true']", ["true"]),
        ("!!timestamp '2024-01-31'", "2024-01-31"),
        ("9" * 5_000, "9" * 5_000),
        ("1:1" * 100_000, "1:1" * 100_000),
    ],
)
def test_a_value_is_read_by_yaml_1_2_and_no_tag_is_obeyed(text, value):
    assert read(f"{HEAD}x: {text}\n")["x"] == value


def test_anchors_and_merged_keys_are_read():
    text = f"{HEAD}a: &a {{x: 1, y: 2}}\nb: *a\nc: {{<<: *a, y: 3}}\nd: {{<<: [*a], x: 4}}\n"
    root = read(text)
    assert (root["b"], root["c"], root["d"]) == ({"x": 1, "y": 2}, {"x": 1, "y": 3}, {"x": 4, "y": 2})


def bomb(kind: str) -> str:
    lines = ["a0: &a0 {x: 1}"]
    for level in range(1, 40):
        aliases = ", ".join([f"*a{level - 1}"] * 9)
        value = f"{{<<: [{aliases}]}}" if kind == "merge" else f"[{aliases}]"
        lines.append(f"a{level}: &a{level} {value}")
    return HEAD + "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        bomb("alias"),
        bomb("merge"),
        f"{HEAD}a: &a [*a]\n",
        f"{HEAD}a: {'[' * 100_000}",
        f"{HEAD}a: {'[' * (MAX_DEPTH + 1)}{']' * (MAX_DEPTH + 1)}",
        f"{HEAD}{'- ' * 100_000}",
        '{"openapi": "3.0.0", "paths": {}, "a": ' + "[" * 200_000,
        '{"openapi": "3.0.0", "paths": {}, "a": NaN}',
        '{"openapi": "3.0.0", "paths": {}, "a": ' + "9" * 5_000 + "}",
        f"{HEAD}? [a]\n: b\n",
        f"{HEAD}a: *nothing\n",
        "a: [",
        "\udcff",
    ],
)
def test_a_text_that_grows_or_cannot_be_read_is_rejected_in_one_sentence(text):
    with pytest.raises(UserError, match=r"shop.yaml cannot be read as JSON or YAML: ") as raised:
        read_description(text.encode("utf-8", "surrogateescape"), "shop.yaml")
    assert len(str(raised.value)) < 300
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "has no `paths`"),
        ("[]", "has no `paths`"),
        ("openapi: 3.0.0", "has no `paths`"),
        ("openapi: 3.0.0\npaths: []", "has no `paths`"),
        ("openapi: 4.0.0\npaths: {}", "version '4.0.0'"),
        ("swagger: 1.2\npaths: {}", "version '1.2'"),
        ("paths: {}", "version ''"),
        ("<html></html>", "has no `paths`"),
    ],
)
def test_a_text_that_is_no_description_is_rejected_with_the_reason(text, fault):
    with pytest.raises(UserError, match=fault):
        read(text)


@pytest.mark.parametrize("text", ["openapi: 3.1.0\npaths: {}", "openapi: 3.1\npaths: {}", "swagger: 2.0\npaths: {}"])
def test_versions_3_and_2_are_read(text):
    assert read(text)["paths"] == {}
