"""Sum a turn up: in one line, in the lines behind it, and in figures for the metadata of the output.

Seconds differ at each run. So no text that a file keeps has them: pages and terminals add them to what they show.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..text import collapse_whitespace, format_list, plural, truncate
from ..types import Isolation, JSONObject, JSONValue, TurnResult
from .escaping import escape_controls
from .transcript import Transcript

__all__ = ["describe_seconds", "details", "measure", "summary_line"]

_MAX_NAMES = 8


def summary_line(transcript: Transcript) -> str:
    """Sum a finished turn up in one line: `2 programs · 42 calls · 1,083 tokens · WebAssembly`.

    With a budget it says how much of the budget is used: `3 of 50 calls · 1,547 of 20,000 tokens`.
    """
    result = transcript.result
    if result is None:
        return ""
    programs = max(len(transcript.attempts), result.attempts)
    calls = sum(len(attempt.calls) for attempt in transcript.attempts)
    usage = result.usage
    tokens = plural(usage.prompt_tokens + usage.completion_tokens, "token")
    uses = {(use.scope, use.unit): str(use) for use in transcript.budget}
    parts = [
        plural(programs, "program") if programs else "no program",
        uses.pop(("cell", "calls"), plural(calls, "call") if calls else ""),
        uses.pop(("cell", "tokens"), f"about {tokens}" if usage.estimated else tokens),
        *uses.values(),
        _short_title(transcript.isolation) if transcript.isolation is not None else "nothing was run",
        _describe_thread(transcript.continues) if transcript.continues else "",
    ]
    return escape_controls(" · ".join(filter(None, parts)))


def details(transcript: Transcript) -> list[str]:
    """Write the lines behind the summary: what was sent to whom, what came back, and where the program ran."""
    result = transcript.result
    if result is None:
        return []
    usage, prefix = result.usage, "about " if result.usage.estimated else ""
    turns = plural(result.model_turns, "model turn")
    lines = [
        f"{result.model}: {turns}, {prefix}{usage.prompt_tokens:,} tokens in, {prefix}{usage.completion_tokens:,} out",
        f"sent to the model: {', '.join(_list_sent(transcript, result))} (%codeact prompt shows it word for word)",
        *([f"ran in: {transcript.isolation}"] if transcript.isolation is not None else []),
        *(_describe_output(name, value) for name, value in result.outputs.items()),
    ]
    return [escape_controls(line) for line in lines]


def describe_seconds(result: TurnResult) -> tuple[str, str]:
    """Return the seconds of a turn in all, and where they went."""
    times = result.timings
    parts = f"model {times.model:.2f} s, sandbox {times.sandbox:.2f} s, tools {times.tools:.2f} s"
    total = times.model + times.sandbox + times.tools
    waiting = f", waiting for you {times.waiting:.1f} s" if times.waiting > 0.05 else ""
    return f"{total:.1f} s" if total < 100 else f"{total:,.0f} s", parts + waiting


def measure(transcript: Transcript) -> JSONObject:
    """Return the seconds of a finished turn and of its calls, for the metadata of its output."""
    result = transcript.result
    if result is None:
        return {}
    times = result.timings
    seconds: JSONObject = {name: round(getattr(times, name), 3) for name in ("model", "sandbox", "tools", "waiting")}
    calls: list[JSONValue] = [
        [round(row.seconds, 4) for row in attempt.calls[:1_000]] for attempt in transcript.attempts
    ]
    return {"seconds": seconds, "calls": calls}


def _list_sent(transcript: Transcript, result: TurnResult) -> Sequence[str]:
    tools, inputs, earlier = transcript.tools, result.inputs, result.continues
    return [
        "your prompt",
        *([f"the descriptions of {format_list(list(tools), _MAX_NAMES)}"] if tools else []),
        *([f"the shape of {format_list(list(inputs), _MAX_NAMES)}"] if inputs else []),
        *([plural(len(earlier), "earlier prompt")] if earlier else []),
    ]


def _describe_thread(asks: Sequence[str]) -> str:
    others = f" and {plural(len(asks) - 1, 'earlier prompt')}" if len(asks) > 1 else ""
    return f"continues: {truncate(collapse_whitespace(asks[-1]), 60)}{others}"


def _describe_output(name: str, value: object) -> str:
    rows, columns = getattr(value, "rows", None), getattr(value, "columns", ())
    return f"--out {name}" if rows is None else f"--out {name}: {rows:,} rows × {len(columns):,} columns"


def _short_title(isolation: Isolation) -> str:
    boundary = isolation.boundary.partition(" in ")[0]
    return boundary if isolation.guest == "standard" else f"{boundary}, {isolation.guest} guest"
