"""Define `show(...)`. The module `items`, which does the work, is imported at the first call."""

from typing import Any

from .limits import max_items


def start_run(config: dict[str, Any], namespace: dict[str, Any]) -> None:
    """Add `show` to the program's namespace, and take the limits."""
    namespace["show"] = show
    max_items.update(config)


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
    """Show a value under the cell: text (Markdown), rows as a table, PNG or JPEG bytes, a chart, or any JSON.

    Raises ToolFailed or ValueError with what to change.
    """
    from .items import send

    send(value, chart, x, y, color, title, kind)
