"""Bind the notebook's values as variables, and send values back to the notebook."""

import binascii
import sys
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..tool_calls import call_host, get_kind, read_ref, source_hooks, to_key_text, to_sendable

_MAX_PIECE = 32_768
"""Maximum number of a column's values that go to the host in one piece."""
_MAX_TEXT = 250_000
"""Maximum number of characters in one piece of a value, or of a column's values as JSON."""


_bound = False


class Results(Mapping[int, Any]):
    """The results of earlier prompts, by their numbers. Each is fetched when it is first read."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._values: dict[int, Any] = dict.fromkeys(numbers, _UNREAD)

    def __getitem__(self, number: int) -> Any:
        if number not in self._values:
            numbers = ", ".join(map(str, self._values))
            raise KeyError(f"no earlier prompt {number!r} has a result: there are results of {numbers}")
        if self._values[number] is _UNREAD:
            self._values[number] = read_reference(call_host("data", "result", number=number))
        return self._values[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


_UNREAD = object()


def start_run(config: Mapping[str, Any], namespace: dict[str, Any]) -> Callable[[Any, bool], None] | None:
    """Bind the notebook's values in the guest's first run.

    Returns:
        The function that sends the requested variables of the program to the notebook, or `None` if none are requested.
    """
    global _bound
    if config["inputs"] and not _bound:
        for name, ref in config["inputs"].items():
            if ref["kind"] == "frame":
                _bind_when_named(name, lambda ref=ref: read_reference(ref), namespace)
            else:
                namespace[name] = read_reference(ref)
    if config.get("results") and not _bound:
        _bind_results(config, namespace)
    _bound = True  # a program that continues another one finds the variables as that one left them
    outputs = config["outputs"]
    if not outputs:
        return None
    exact = config["exact"]
    return lambda value, has_observed: None if has_observed else _send(outputs, value, namespace, exact)


def _bind_results(config: Mapping[str, Any], namespace: dict[str, Any]) -> None:
    results, previous = Results(config["results"]), config["previous"]
    taken = {*namespace, *config["outputs"]}
    if "results" not in taken:
        namespace["results"] = results
    if previous is None or "previous" in taken:
        return

    _bind_when_named("previous", lambda: results[previous], namespace)


def _bind_when_named(name: str, read: Callable[[], Any], namespace: dict[str, Any]) -> None:
    """Bind a variable when a program names it: only such a program pays for fetching the value."""

    def bind(source: str) -> None:
        if name in source:
            namespace[name] = read()
            source_hooks.remove(bind)

    source_hooks.append(bind)


def read_reference(ref: Any) -> Any:
    """Return the value for a reference to data of the host. Its parts are fetched when they are first read."""
    from .references import from_ref  # slow to import, and few programs have references

    return from_ref(ref)


read_ref[:] = [read_reference]


def _send(outputs: Sequence[str], value: Any, namespace: Mapping[str, Any], exact: bool) -> None:
    values = dict(namespace)
    if len(outputs) == 1 and value is not None:
        values.setdefault(outputs[0], value)
    missing = [name for name in outputs if name not in values]
    if missing:
        raise NameError(f"the program has to assign {', '.join(missing)}: the user asked for these variables")
    for name in outputs:
        _put(name, values[name], exact)


def _put(name: str, value: Any, exact: bool = False) -> None:
    if exact and "numpy" in sys.modules:
        from . import frames

        if frames.is_frame(value):
            return frames.put(name, value)
    columns = _to_columns(value)
    if not columns:
        return _put_text(name, value)
    rows = len(value)
    call_host("data", "put", name=name, columns=[to_key_text(label) for label in columns], rows=rows)
    for number, column in enumerate(columns.values()):
        for piece in _make_pieces(column):
            call_host("data", "part", name=name, column=number, piece=piece)
    call_host("data", "done", name=name)


def _put_text(name: str, value: Any) -> None:
    import json

    try:
        text = json.dumps(to_sendable(value), ensure_ascii=False)
    except TypeError as error:
        raise TypeError(f"{name} cannot be handed to the notebook: {error}") from None
    call_host("data", "put", name=name, columns=None, rows=0)
    for start in range(0, len(text), _MAX_TEXT):
        call_host("data", "part", name=name, column=0, piece={"as": "text", "data": text[start : start + _MAX_TEXT]})
    call_host("data", "done", name=name)


def _to_columns(value: Any) -> dict[Any, Sequence[Any]] | None:
    """Return the columns of a table or a list of dicts, or `None` for other values."""
    if "pandas" in sys.modules:
        from codeact_kernel.wire.data_libraries import indexed_columns, is_a, present

        if is_a(value, "pandas", "DataFrame"):
            return {name: present(values) for name, values in indexed_columns(value)}
    if get_kind(value) == "rows" and not value.is_whole:
        value = value.table()
    if get_kind(value) == "table":
        return {name: value[name] for name in value.columns}
    if not isinstance(value, (list, tuple)) or not value or not all(isinstance(row, dict) for row in value):
        return None
    names = dict.fromkeys(name for row in value for name in row)
    try:
        texts = set(map(to_key_text, names))
    except TypeError:  # sending the value as a whole reports this
        return None
    if len(texts) < len(names):
        return None
    return {name: [row.get(name) for row in value] for name in names}


def _make_pieces(column: Sequence[Any]) -> Iterator[dict[str, Any]]:
    values = getattr(column, "all", lambda: column)()
    if not isinstance(values, (list, array)):
        values = list(values)
    for start in range(0, len(values), _MAX_PIECE):
        yield from _split(values[start : start + _MAX_PIECE])


def _split(values: Any) -> Iterator[dict[str, Any]]:
    """Yield the values as one piece, or as several if they are long."""
    import json

    piece = _encode(values)
    if piece["as"] == "json" and len(values) > 1 and len(json.dumps(piece["data"])) > _MAX_TEXT:
        middle = len(values) // 2
        yield from _split(values[:middle])
        yield from _split(values[middle:])
    else:
        yield piece


def _encode(values: Any) -> dict[str, Any]:
    if not isinstance(values, array):
        kinds = set(map(type, values))
        if kinds == {int} and min(values) >= -(2**63) and max(values) < 2**63:
            values = array("q", values)
        elif kinds == {float} or (kinds == {int, float} and max(map(abs, values)) < 2**53):
            values = array("d", values)
        elif {kind.__name__ for kind in kinds} - {"NoneType"} == {"datetime"} and (times := _encode_times(values)):
            return times
        else:
            return {"as": "json", "data": values if kinds <= {str, bool, type(None)} else to_sendable(values)}
    return {"as": values.typecode, "data": _to_base64(values)}


def _encode_times(values: Sequence[Any]) -> dict[str, Any] | None:
    import datetime

    zones = {value.tzinfo for value in values if value is not None}
    names = {zone and str(getattr(zone, "key", zone)) for zone in zones}
    if len(names) != 1 or not _is_known_zone(name := names.pop()):
        return None
    start = datetime.datetime(1970, 1, 1, tzinfo=None if name is None else datetime.UTC)
    step = datetime.timedelta(microseconds=1)
    numbers = array("q", [-(2**63) if value is None else (value - start) // step for value in values])
    return {"as": "us", "utc": name is not None, "data": _to_base64(numbers), "zone": name or ""}


def _is_known_zone(zone: str | None) -> bool:
    """Return whether the host can create the zone from its name: none, `UTC`, `UTC+02:00` or `Europe/Berlin`."""
    return zone in (None, "UTC") or "/" in zone or (zone[:4] in ("UTC+", "UTC-") and len(zone) == len("UTC+02:00"))


def _to_base64(numbers: Any) -> str:
    return binascii.b2a_base64(numbers.tobytes(), newline=False).decode()
