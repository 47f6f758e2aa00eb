"""Create tables, columns, rows and values for references to data that stays on the host."""

from typing import Any

from ..tool_calls import call_host
from .columns import Column
from .rows import Rows
from .table import Table


def from_ref(ref: dict[str, Any]) -> Any:
    """Return the value for a reference: a table, a column, rows, or the whole value; or a DataFrame or array."""
    if ref["kind"] == "frame":
        from .frames import fetch

        return fetch(ref)
    if ref["kind"] == "table":
        names, rows = ref["columns"], ref["rows"]
        return Table({name: Column(ref["id"], number, rows) for number, name in enumerate(names)}, rows)
    if ref["kind"] == "rows":
        return Rows(from_ref({**ref, "kind": "table"}))
    if ref["kind"] == "column":
        return Column(ref["id"], 0, ref["rows"])
    if ref["kind"] == "list":
        return list(Column(ref["id"], 0, ref["rows"]))
    import json  # only for other values

    pieces: list[str] = []
    while piece := call_host("data", "text", value=ref["id"], start=sum(map(len, pieces))):
        pieces.append(piece)
    return json.loads("".join(pieces))
