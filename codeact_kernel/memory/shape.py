"""Describe what a turn gave, for the prompts that follow it: keys, types and the number of rows, and no value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from itertools import islice
from typing import cast

from ..capabilities.data import ExactFrame, Frame
from ..errors import ProgramError
from ..settings import Limits
from ..text import plural
from ..tools.shapes import ANY, MAX_NAMES_KEPT, MAX_ROWS, TypeShape, merge, shape_of_value
from ..tools.to_json import to_json
from ..types import JSONValue, TurnResult

__all__ = ["describe_structure", "describe_value", "pick_value"]

_MAX_CHARACTERS = 600
_LIMITS = Limits()


def pick_value(result: TurnResult) -> Frame | JSONValue:
    """Return the value with which a program can go on after this turn, or `None` if there is none.

    It is the value of the program, else what the program assigned for the notebook, else the last table that it showed
    as a whole.
    """
    # A value without a JSON form is only known by its repr, which no JSON text is equal to.
    if result.value is not None and result.value != result.text:
        return result.value
    if result.outputs:
        outputs = cast("Mapping[str, Frame | JSONValue]", result.outputs)
        if len(outputs) == 1:
            return next(iter(outputs.values()))
        return {name: _to_rows(value) for name, value in outputs.items()}
    for item in reversed(result.shown):
        if item.kind == "table" and isinstance(item.data, dict):
            columns, rows = cast("list[str]", item.data["columns"]), cast("list[list[JSONValue]]", item.data["rows"])
            return _to_records(columns, rows) if item.data["total"] == len(rows) else None
    return None


def describe_value(value: Frame | JSONValue, known: str) -> str:
    """Describe the shape of a value. The text is empty if there is no value.

    Args:
        value: from `pick_value`.
        known: everything that the model has read and written. A key that is not in it may be data, and is left out.
    """
    if value is None:
        return ""
    shape = find_shape(value, known, mark="...")
    text = str(shape)[:_MAX_CHARACTERS]
    unit = "row" if shape.item is not None and shape.item.fields else "item"
    if isinstance(value, ExactFrame):
        return value.describe(text.removeprefix("list of "))
    if isinstance(value, Frame):
        return f"{text}, {plural(value.rows, unit)}"
    return f"{text}, {plural(len(value), unit)}" if isinstance(value, list) else text


def find_shape(value: Frame | JSONValue, known: str, mark: str = "") -> TypeShape:
    """Return the types of a value with those keys that are in a text as words. The `mark` stands for all others."""
    sample = _to_rows(value.head(MAX_ROWS)) if isinstance(value, Frame) else _beginning(value)
    return _without_unknown_keys(shape_of_value(sample), lambda name: _is_known(name, known), mark)


def describe_structure(value: Frame | JSONValue, program: str) -> str:
    """Describe what a program can rely on in a value: the keys that it names, and whether they are numbers or text.

    What differs with the data is left out: whole numbers and others, missing values, the number of rows.
    """
    return str(_without_details(find_shape(value, program)))


def _without_details(shape: TypeShape) -> TypeShape:
    def inner(part: TypeShape | None) -> TypeShape | None:
        return None if part is None else _without_details(part)

    kinds = dict.fromkeys("number" if kind in ("int", "float") else kind for kind in shape.kinds if kind != "None")
    fields = None if shape.fields is None else {name: _without_details(part) for name, part in shape.fields.items()}
    return TypeShape(tuple(kinds), inner(shape.item), fields, entry=inner(shape.entry))


def _beginning(value: JSONValue, levels: int = 5) -> JSONValue:
    """Return as much of a value as its shape is made of. A large value would take seconds."""
    if isinstance(value, list):
        return [_beginning(item, levels - 1) for item in value[:MAX_ROWS]] if levels else []
    if isinstance(value, dict):
        first = islice(value.items(), MAX_NAMES_KEPT + 1)
        return {name: _beginning(item, levels - 1) for name, item in first} if levels else {}
    return value


def _to_rows(value: Frame | JSONValue) -> JSONValue:
    if not isinstance(value, Frame):
        return value
    try:
        return to_json(value.records(), limits=_LIMITS)
    except ProgramError:  # larger than a value may be
        return None


def _to_records(columns: Sequence[str], rows: Sequence[Sequence[JSONValue]]) -> JSONValue:
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _is_known(name: str, known: str) -> bool:
    """Return whether the name stands somewhere as a word."""
    start = known.find(name)
    while start >= 0 and name:
        around = known[max(0, start - 1) : start] + known[start + len(name) : start + len(name) + 1]
        if not any(sign.isalnum() or sign == "_" for sign in around):
            return True
        start = known.find(name, start + 1)
    return False


def _without_unknown_keys(shape: TypeShape, is_known: Callable[[str], bool], mark: str) -> TypeShape:
    def inner(part: TypeShape | None) -> TypeShape | None:
        return None if part is None else _without_unknown_keys(part, is_known, mark)

    shape = replace(shape, item=inner(shape.item), entry=inner(shape.entry), text=None)
    if not shape.fields:
        return shape
    fields = {name: _without_unknown_keys(part, is_known, mark) for name, part in shape.fields.items()}
    shown = {name: part for name, part in fields.items() if is_known(name)}
    if not shown:
        return replace(shape, fields=None, optional=frozenset(), entry=reduce(merge, fields.values()))
    if mark and len(shown) < len(fields):
        shown[mark] = ANY
    return replace(shape, fields=shown)
