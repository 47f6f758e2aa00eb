"""Names of tools and parameters: which are allowed, and how programs spell those that are not Python names.

A tool from outside (a JSON schema, an MCP server, an OpenAPI description) can have any name. Programs use a spelling of
it; the card and the owner of the tool keep the name itself:

    own name                     spelling in programs
    `fetch-page`, `web.search`   each run of other characters becomes one underscore: `fetch_page`, `web_search`
    `größe`                      letters lose their accents: `grosse`
    a parameter `from`, `2nd`    `from_`, `_2nd`
    a tool `sum`, `show`, `2nd`  the name means something else, so it gets a prefix: `tool_sum`, `tool_2nd`, or the name
                                 of the server it is from: `math_sum`
    a name that is taken         `fetch_page_2`, or with the name of the server it is from: `web_fetch_page`
"""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Container, Iterable, Mapping

from ..capability import RESERVED_NAMES
from ..errors import ToolDefinitionError

__all__ = ["MAX_NAME_CHARACTERS", "find_fault", "spell_parameters", "spell_tool", "validate_name"]

MAX_NAME_CHARACTERS = 64
"""Of the name of a tool, and of the name of a parameter."""
_OTHER = re.compile(r"[^A-Za-z0-9_]+")


def validate_name(name: object, *, reserved: bool = False) -> str:
    """Return the name if a tool can have it.

    Args:
        reserved: Allow a name that every program has.

    Raises:
        ToolDefinitionError: No tool can have the name.
    """
    fault = find_fault(name)
    if fault and not (reserved and name in RESERVED_NAMES):
        raise ToolDefinitionError(
            f"The tool name {str(name)[:MAX_NAME_CHARACTERS]!r} {fault}: use another, @tool(name=...)."
        )
    return str(name)


def find_fault(name: object) -> str:
    """Return why no tool can have the name; an empty text if one can."""
    if not isinstance(name, str) or not (name.isascii() and name.isidentifier()) or len(name) > MAX_NAME_CHARACTERS:
        return f"is not an ASCII identifier of at most {MAX_NAME_CHARACTERS} characters"
    if name.startswith("_"):
        return "starts with an underscore"
    if keyword.iskeyword(name) or hasattr(builtins, name):
        return "means something else in Python"
    if name in RESERVED_NAMES:
        return "is the name of a function that every program has"
    return ""


def spell_tool(own_name: str, taken: Container[str] = (), prefix: str = "tool") -> str:
    """Return the name by which programs call a tool from outside.

    Args:
        own_name: Any text.
        taken: The names of other tools.
        prefix: The name of the server or the description that the tool is from.
    """
    first = _to_identifier(own_name)[:MAX_NAME_CHARACTERS].strip("_") or "unnamed"
    second = f"{_to_identifier(prefix).strip('_') or 'tool'}_{first}"[:MAX_NAME_CHARACTERS]
    if find_fault(second):
        second = f"tool_{second}"[:MAX_NAME_CHARACTERS]
    names = [first, second] if prefix != "tool" or find_fault(first) else [first]
    return next(name for name in _with_numbers(names) if not find_fault(name) and name not in taken)


def spell_parameters(own_names: Iterable[str]) -> Mapping[str, str]:
    """Return the spelling of each parameter of one tool, by its own name. Python names are their own spelling."""
    own_names = list(own_names)
    spelled = {name: name for name in own_names if _is_parameter(name)}
    for own_name in own_names:
        if own_name not in spelled:
            name = _to_identifier(own_name)[:MAX_NAME_CHARACTERS] or "unnamed"
            name = f"_{name}" if name[0].isdigit() else f"{name}_" if keyword.iskeyword(name) else name
            taken = {*spelled.values()}
            spelled[own_name] = next(one for one in _with_numbers([name]) if one not in taken)
    return {name: spelled[name] for name in own_names}


def _is_parameter(name: str) -> bool:
    is_plain = name.isascii() and name.isidentifier() and not keyword.iskeyword(name)
    return is_plain and len(name) <= MAX_NAME_CHARACTERS


def _to_identifier(text: str) -> str:
    text = unicodedata.normalize("NFKD", text[: 4 * MAX_NAME_CHARACTERS].replace("ß", "ss"))
    return _OTHER.sub("_", "".join(letter for letter in text if not unicodedata.combining(letter)))


def _with_numbers(names: list[str]) -> Iterable[str]:
    yield from names
    number = 2
    while True:
        end = f"_{number}"
        yield names[-1][: MAX_NAME_CHARACTERS - len(end)] + end
        number += 1
