"""Runs in the guest as `codeact_show`: `show(...)`. What it takes is in `codeact_showing`, imported when it is used."""

from typing import Any

most = {"table_rows": 1_000, "chart_rows": 5_000}
"""Of what the host takes: more need not be sent."""


def begin(told: dict[str, Any], namespace: dict[str, Any]) -> None:
    """A run begins: the program has `show`."""
    namespace["show"] = show
    most.update(told)


def show(
    value: Any,
    *,
    chart: Any = None,
    x: Any = None,
    y: Any = None,
    color: Any = None,
    title: str | None = None,
    kind: str | None = None,
) -> None:
    """Show something under the cell: text (Markdown), rows as a table, PNG or JPEG bytes, a chart, or any JSON.

    Raises ToolFailed or ValueError with what to change.
    """
    from codeact_showing import send

    send(value, chart, x, y, color, title, kind)
