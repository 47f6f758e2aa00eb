"""The HTML form: what a notebook shows and keeps. Inline styles only, no script, no remote resource.

Everything that comes from the model, the guest or a tool passes `for_html` (or Pygments, which escapes).
"""

from __future__ import annotations

import json

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from ..values import Raised
from .parts import Table, as_table, call_end, footer
from .safe import arguments_text, clip, for_html, plain
from .transcript import Attempt, CallRow, Transcript

__all__ = ["to_html"]

_MAX_CALLS = 200
_LINE = "1px solid rgba(128,128,128,.35)"
_MONO = "font-family:var(--jp-code-font-family,ui-monospace,Menlo,Consolas,monospace);font-size:12px"
_DIM = "opacity:.75;font-size:12px"
# Pygments' inline colours are made for a light ground, so the program brings its ground along into dark themes.
_CODE = f"background:#f7f7f7;color:#222;padding:8px 10px;margin:0;overflow:auto;line-height:1.45;{_MONO}"
_STATES = {"done": "#1a7f37", "failed": "#cf222e", "stopped": "#bf5f00"}
_FORMATTER = HtmlFormatter(noclasses=True, nowrap=True, style="default")


def to_html(transcript: Transcript) -> str:
    """The whole turn as one HTML card."""
    body = [_note(text) for text in (transcript.note, *transcript.notices) if text]
    last = len(transcript.attempts) - 1
    for number, attempt in enumerate(transcript.attempts):
        body.append(_folded(attempt, number + 1) if number < last else _attempt(attempt))
    if transcript.prose and not transcript.attempts:
        body.append(f'<div style="white-space:pre-wrap;padding:6px 10px">{for_html(transcript.prose.strip())}</div>')
    body.append(_end(transcript))
    foot = f'<div style="{_DIM};padding:4px 10px;border-top:{_LINE}">{for_html(footer(transcript))}</div>'
    return (
        f'<div style="border:{_LINE};border-radius:6px;max-width:100%;overflow:hidden">'
        f"{_header(transcript)}{''.join(body)}{foot}</div>"
    )


def _header(transcript: Transcript) -> str:
    colour = _STATES.get(transcript.state, "#0969da")
    calls = sum(len(attempt.calls) for attempt in transcript.attempts)
    words = f"{calls} tool call{'' if calls == 1 else 's'}" if calls else ""
    return (
        f'<div style="display:flex;justify-content:space-between;gap:12px;padding:4px 10px;border-bottom:{_LINE};font-size:12px">'
        f'<span><b>CodeAct</b> <span style="color:{colour}"><b>{for_html(transcript.state)}</b></span></span>'
        f'<span style="opacity:.75">{words}</span></div>'
    )


def _note(text: str) -> str:
    return f'<div style="padding:4px 10px;font-size:12px;font-style:italic">{for_html(text)}</div>'


def _folded(attempt: Attempt, number: int) -> str:
    why = for_html(clip(attempt.reason, 300)) if attempt.reason else "it asked to see data"
    return (
        f'<details style="padding:2px 10px"><summary style="{_DIM};cursor:pointer">program {number}, '
        f"then another: {why}</summary>{_attempt(attempt)}</details>"
    )


def _attempt(attempt: Attempt) -> str:
    code = highlight(plain(attempt.program).strip("\n"), PythonLexer(), _FORMATTER).rstrip("\n")
    html = f'<pre style="{_CODE}">{code}</pre>'
    if attempt.calls:
        html += _calls(attempt.calls)
    if attempt.output:
        html += _pre(attempt.output.rstrip("\n"))
    return html


def _calls(calls: list[CallRow]) -> str:
    rows = "".join(_call(row) for row in calls[:_MAX_CALLS])
    if len(calls) > _MAX_CALLS:
        rows += f'<tr><td colspan="3" style="text-align:left">… {len(calls) - _MAX_CALLS:,} more calls</td></tr>'
    failed = sum(isinstance(row.answer, Raised) for row in calls)
    total = f"{len(calls)} tool call{'' if len(calls) == 1 else 's'}" + (
        f", {failed} failed or denied" if failed else ""
    )
    table = f'<table style="border-collapse:collapse;width:100%;margin:2px 0">{rows}</table>'
    opened = " open" if len(calls) <= 8 or failed else ""
    return f'<details{opened} style="padding:2px 10px"><summary style="{_DIM};cursor:pointer">{total}</summary>{table}</details>'


def _call(row: CallRow) -> str:
    cell = f"text-align:left;padding:1px 8px 1px 0;vertical-align:top;word-break:break-word;{_MONO}"
    wrong = ";color:#cf222e" if isinstance(row.answer, Raised) else ""
    took = f"{row.took * 1e3:,.0f} ms" if row.answer is not None else ""
    by = f" ({row.decision.by})" if row.decision is not None and row.decision.by != "policy" else ""
    return (
        f'<tr><td style="{cell}">{for_html(row.call.name)}({for_html(arguments_text(row.call.arguments))})</td>'
        f'<td style="{cell}{wrong}">{for_html(clip(call_end(row), 300))}{by}</td>'
        f'<td style="{cell};text-align:right;white-space:nowrap">{took}</td></tr>'
    )


def _end(transcript: Transcript) -> str:
    result = transcript.result
    if result is None:
        return ""
    if result.error is not None:
        detail = result.error.traceback or str(result.error)
        return f'<div style="padding:4px 10px;color:#cf222e"><b>{for_html(str(result.error))}</b></div>' + (
            _pre(detail) if result.error.traceback else ""
        )
    table = as_table(result.value)
    if table is not None:
        return _table(table)
    if result.value is None and result.text is None:
        return ""
    value = result.value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
    return _pre(clip(text, 20_000))


def _table(table: Table) -> str:
    cell = "padding:3px 10px;white-space:pre-wrap"
    sides = ["right" if numeric else "left" for numeric in table.numeric]
    head = "".join(
        f'<th style="{cell};text-align:{side};border-bottom:{_LINE}">{for_html(name)}</th>'
        for name, side in zip(table.columns, sides, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td style="{cell};text-align:{side}">{for_html(text)}</td>' for text, side in zip(row, sides, strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    more = f'<div style="{_DIM}">… {table.left_out:,} more rows</div>' if table.left_out else ""
    return f'<div style="padding:6px 10px;overflow:auto"><table style="border-collapse:collapse"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}</div>'


def _pre(text: str) -> str:
    return f'<pre style="white-space:pre-wrap;word-break:break-word;margin:0;padding:6px 10px;background:none;{_MONO}">{for_html(text)}</pre>'
