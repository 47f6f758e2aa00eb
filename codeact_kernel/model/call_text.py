"""Find function calls in the special tokens and elements that models are trained to write.

An endpoint that knows its model converts these calls. Other endpoints leave them in the answer as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass

from .function_calls import is_runner, read_call

__all__ = ["HEAD", "CallText", "find_calls"]

_MAX_CALLS = 4
"""Further calls are ignored."""
HEAD = re.compile(
    r"(?:<function=|<(?:[a-z]{1,12}:)?invoke name=|\[TOOL_CALLS\]|<\|?tool_call\|?>|<[|｜]tool[_▁]call[_▁]begin[|｜]>)"
    r"\s{0,3}(?:functions?(?:\.|<[|｜]tool[_▁]sep[|｜]>))?[\"']?(?P<name>[A-Za-z_]\w{0,63})[\"']?(?::\d{1,4})?"
    r"(?=[\s>\[<{]|\Z)"
)
"""The beginning of a call up to its name, for Llama, Qwen, Mistral, Kimi, DeepSeek, GLM and others."""
_BETWEEN = re.compile(r"(?:\s|>|\[ARGS\]|<[|｜][\w▁]{1,40}[|｜]>|```(?:json)?)*+")
"""The signs between the name of a call and its arguments."""
_AFTER = re.compile(
    r"(?:\s*+(?:</(?:[a-z]{1,12}:)?(?:function|invoke|tool_calls?|function_calls?)>|```"
    r"|<[|｜](?:/[\w▁]{1,40}|[\w▁]{0,40}end)[|｜]>))*+"
)
_KEY = re.compile(
    r"\s*+(?:<arg_key>(?P<key>\w{1,60})</arg_key>\s*+<(?P<value>arg_value)>"
    r"|<(?P<element>(?:[a-z]{1,12}:)?parameter)(?:=|\sname=)[\"']?(?P<name>\w{1,60})[\"']?>)"
)
"""The beginning of an argument that is an element and not part of a JSON object."""


@dataclass(frozen=True, slots=True)
class CallText:
    """One call as a program.

    Attributes:
        end: the position in the text after the call.
    """

    program: str
    end: int


def find_calls(text: str, tools: Collection[str]) -> list[CallText]:
    """Return the consecutive calls in `text`, from the first on.

    Args:
        tools: the names of the offered tools.
    """
    found: list[CallText] = []
    head = HEAD.search(text)
    while head is not None and len(found) < _MAX_CALLS:
        name = head["name"]
        if name not in tools and not is_runner(name):
            break
        arguments, end = _read_arguments(text, _end_of(_BETWEEN, text, head.end()), is_text=name not in tools)
        program = None if arguments is None else read_call({"name": name, "arguments": arguments}, tools)
        if program is None:
            break
        end = _end_of(_AFTER, text, end)
        found.append(CallText(program, end))
        head = HEAD.match(text, end)
    return found


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return start if found is None else found.end()


def _read_arguments(text: str, start: int, *, is_text: bool) -> tuple[object, int]:
    """Return the arguments that begin at `start`, and their end.

    Args:
        is_text: whether every argument is text and never a JSON value.
    """
    if text.startswith("{", start):
        try:
            return json.JSONDecoder(strict=False).raw_decode(text, start)
        except (ValueError, RecursionError):
            return None, start
    arguments: dict[str, object] = {}
    end = start
    while (key := _KEY.match(text, end)) is not None:
        close = f"</{key['value'] or key['element']}>"
        stop = text.find(close, key.end())
        if stop < 0:
            return None, start
        value = text[key.end() : stop].strip("\n").rstrip()
        arguments[key["key"] or key["name"]] = value if is_text else _read_value(value)
        end = stop + len(close)
    return arguments or None, end


def _read_value(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
