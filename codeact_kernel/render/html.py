"""Write a turn as HTML, which a notebook shows and saves. It has inline styles only, no script and no remote resource.

All text from the model, the guest and tools passes `for_html`.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from ..text import plural, truncate_middle
from ..types import STOPPED, CallError
from . import blocks
from .code import highlight
from .colours import VARIABLES, colour_style
from .escaping import escape_hidden, for_html
from .file_list import files_html
from .shared import TextTable, call_result, call_text, describe_decision
from .transcript import Attempt, CallRow, Transcript

__all__ = ["table_html", "to_html"]

_MAX_CALLS = 200
_FOLD = 120
"""A longer result of a call is folded away behind its beginning."""
_LINE = "1px solid rgba(128,128,128,.35)"
_MONO = "font-family:var(--jp-code-font-family,ui-monospace,Menlo,Consolas,monospace);font-size:12px"
_SCROLL = "max-height:30em;overflow:auto"
_DIM = "opacity:.75;font-size:12px"
_WRAP = "white-space:pre-wrap;overflow-wrap:anywhere"  # so that no part of a program is out of sight
_CODE = f"background:rgba(128,128,128,.08);padding:8px 10px;margin:0;line-height:1.45;{_WRAP};{_SCROLL};{_MONO}"
_STATES = {"done": "green", "failed": "red", "denied": "red", "stopped": "orange", "waiting for you": "orange"}


def to_html(transcript: Transcript) -> str:
    """Write the whole turn as one HTML card."""
    style = f"{VARIABLES};border:{_LINE};border-radius:6px;max-width:100%;overflow:hidden"
    return _tag("div", style, _header(transcript), *map(_block, blocks.divide(transcript)), _buttons(transcript.copies))


def _block(block: blocks.Block) -> str:
    match block:
        case blocks.Note(text):
            return _tag("div", "padding:4px 10px;font-size:12px;font-style:italic", for_html(text))
        case blocks.Program(attempt, number):
            return _attempt(attempt) if block.is_last else _folded(attempt, number)
        case blocks.Words(text):
            return _tag("div", "white-space:pre-wrap;padding:6px 10px", for_html(text))
        case blocks.Failure(_, message, traceback):
            return _failure(message, traceback)
        case blocks.Table(table):
            return table_html(table)
        case blocks.Value(text):
            return _pre(text)
        case blocks.NoValue():
            return ""
        case blocks.Files(rows, left_out):
            return _tag("div", "padding:4px 10px", files_html(rows, left_out))
        case blocks.Footer(_, text):
            return _tag("div", f"{_DIM};padding:4px 10px;border-top:{_LINE}", for_html(text))


def _tag(name: str, style: str, *content: str, attributes: str = "") -> str:
    """Write one element. `content` is HTML, in which foreign text has passed `for_html`."""
    return f'<{name} style="{style}"{attributes}>{"".join(content)}</{name}>'


def _header(transcript: Transcript) -> str:
    colour = _STATES.get(transcript.state, "blue")
    calls = sum(len(attempt.calls) for attempt in transcript.attempts)
    return _tag(
        "div",
        f"display:flex;justify-content:space-between;gap:12px;padding:4px 10px;border-bottom:{_LINE};font-size:12px",
        _tag("span", "", "<b>CodeAct</b> ", _tag("b", colour_style(colour), for_html(transcript.state))),
        _tag("span", "opacity:.75", plural(calls, "tool call") if calls else ""),
    )


def _buttons(copies: Mapping[str, str]) -> str:
    """Write buttons that copy a text. They show in a page in which `card.js` runs, and in no other page."""
    if not copies:
        return ""
    buttons = (
        _tag("button", "display:none;border:0;padding:0", attributes=f' data-codeact-copy="{text}" title="{label}"')
        for label, text in ((escape(label), escape(text)) for label, text in copies.items())
    )
    return _tag("div", "padding:0 10px", *buttons)


def _folded(attempt: Attempt, number: int) -> str:
    why = for_html(truncate_middle(attempt.reason, 300))
    summary = _tag("summary", f"{_DIM};cursor:pointer", f"program {number}, then another: {why}")
    return _tag("details", "padding:2px 10px", summary, _attempt(attempt))


def _attempt(attempt: Attempt) -> str:
    html = _tag("pre", _CODE, highlight(escape_hidden(attempt.program).strip("\n")))
    if attempt.calls:
        html += _calls(attempt.calls)
    if attempt.output:
        html += _pre(attempt.output.rstrip("\n"))
    return html


def _calls(calls: list[CallRow]) -> str:
    rows = [_call(row) for row in calls[:_MAX_CALLS]]
    if len(calls) > _MAX_CALLS:
        rows.append(f"<tr>{_tag('td', 'text-align:left', f'… {len(calls) - _MAX_CALLS:,} more calls')}</tr>")
    raised = [row.answer for row in calls if isinstance(row.answer, CallError)]
    stopped = sum(answer.message.startswith(STOPPED) for answer in raised)
    failed = len(raised) - stopped
    words = plural(len(calls), "tool call") + (f", {failed} failed or denied" if failed else "")
    words += f", {stopped} stopped" if stopped else ""
    return _tag(
        "details",
        "padding:2px 10px",
        _tag("summary", f"{_DIM};cursor:pointer", words),
        _tag("table", f"border-collapse:collapse;width:100%;margin:2px 0;{_MONO}", *rows),
        attributes=" open" if len(calls) <= 8 or raised else "",
    )


def _call(row: CallRow) -> str:
    cell = "text-align:left;padding:1px 8px 1px 0;vertical-align:top;word-break:break-word"
    wrong = f";{colour_style('red')}" if isinstance(row.answer, CallError) else ""
    duration = f"{row.seconds * 1e3:,.0f} ms" if row.answer is not None else ""
    cells = (
        _tag("td", cell, for_html(call_text(row))),
        _tag("td", cell + wrong, _foldable(truncate_middle(call_result(row), 300))),
        _tag("td", f"{cell};opacity:.75", for_html(words)) if (words := describe_decision(row)) else "<td></td>",
        _tag("td", f"{cell};text-align:right;white-space:nowrap", duration),
    )
    return f"<tr>{''.join(cells)}</tr>"


def _foldable(text: str) -> str:
    """Fold a long text away behind its beginning."""
    if len(text) <= _FOLD:
        return for_html(text)
    summary = _tag("summary", "cursor:pointer", for_html(f"{text[: _FOLD - 20]}…"))
    return _tag("details", "", summary, for_html(text))


def _failure(message: str, traceback: str) -> str:
    line = _tag("div", f"padding:4px 10px;{colour_style('red')};font-weight:bold", for_html(message))
    return line + (_pre(traceback) if traceback else "")


def table_html(table: TextTable, box_style: str = "") -> str:
    """Write a table. `box_style` is added to the style of the box around it."""
    cell = "padding:3px 10px;white-space:pre-wrap"
    sides = ["right" if numeric else "left" for numeric in table.numeric]

    def row(kind: str, cells: list[str], cell_style: str = "") -> str:
        pairs = zip(cells, sides, strict=True)
        elements = (_tag(kind, f"{cell};text-align:{side}{cell_style}", for_html(text)) for text, side in pairs)
        return f"<tr>{''.join(elements)}</tr>"

    head = f"<thead>{row('th', table.columns, f';border-bottom:{_LINE}')}</thead>"
    body = f"<tbody>{''.join(row('td', cells) for cells in table.rows)}</tbody>"
    left_out = _tag("div", _DIM, table.left_out) if table.left_out else ""
    return _tag(
        "div",
        f"padding:6px 10px;overflow:auto{box_style}",
        _tag("table", "border-collapse:collapse", head, body),
        left_out,
    )


def _pre(text: str) -> str:
    style = f"white-space:pre-wrap;word-break:break-word;margin:0;padding:6px 10px;background:none;{_SCROLL}"
    return _tag("pre", f"{style};{_MONO}", for_html(text))
