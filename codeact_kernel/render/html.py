"""Draw a turn as one card of elements, which a notebook shows and saves as HTML, and which the live card draws too.

It has inline styles only, no script and no remote resource. All text from the model, the guest and tools is text in the
tree of elements, which its writers escape.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..text import plural, truncate_middle
from ..types import CallError, CardStyle
from . import blocks
from .calls import call_result, call_text, choose_calls, count_calls, describe_decision
from .code import tokenize
from .colours import VARIABLES, colour_style
from .elements import Element, Node, element, write_html
from .escaping import escape_controls, escape_hidden
from .file_list import draw_files
from .transcript import Attempt, CallRow, Transcript
from .value_elements import DIM, LINE, MONO, PRE, SCROLL, draw_table, draw_tree

__all__ = ["draw_block", "time_key", "to_html"]

_MAX_LINE = 110
"""A longer call is folded behind its beginning."""
_ROW = "padding:4px 10px"
_CODE = f"{MONO};background:rgba(128,128,128,.08);margin:4px 0;padding:6px 10px 6px 4em;line-height:1.45;{SCROLL}"
_LINE_OF_CODE = "white-space:pre-wrap;overflow-wrap:anywhere"
_FAILED_LINE = f"{_LINE_OF_CODE};background:rgba(208,69,76,.18);border-left:3px solid;padding-left:4px"
_FOLD = "cursor:pointer"
_BOTTOM = f"border-top:{LINE};display:flex;flex-wrap:wrap;align-items:flex-start;gap:0 10px;padding:3px 10px"
_HIDDEN = "display:none;border:0;padding:0"


def to_html(transcript: Transcript, style: CardStyle = "answer") -> str:
    """Write the whole turn as one HTML card."""
    box = f"{VARIABLES};border:{LINE};border-radius:6px;max-width:100%;overflow:hidden"
    head = [] if transcript.result is not None else [_draw_state(transcript.status)]
    answer, rest = list[Node](), list[Node]()
    for block in blocks.divide(transcript):
        (rest if isinstance(block, blocks.Details) else answer).extend(draw_block(block, style, transcript.key))
    bottom = element("div", _BOTTOM, *rest, *_draw_buttons(transcript)) if rest else ""
    whole = [*head, element("div", "", *answer, data_codeact="answer"), bottom]
    return write_html(element("div", box, *whole, data_codeact="card"))


def draw_block(block: blocks.Block, style: CardStyle = "answer", key: str = "") -> Sequence[Element]:
    """Draw one block. `key` names the turn for the page, which adds the seconds to the summary."""
    match block:
        case blocks.Note(text):
            return [element("div", f"{_ROW};font-size:12px;font-style:italic", text)]
        case blocks.Program():
            return [_draw_program(block), *_draw_output(block.attempt)]
        case blocks.Words(text):
            return [element("div", f"{_ROW};white-space:pre-wrap;overflow-wrap:anywhere", text)]
        case blocks.Output(text) | blocks.Value(text):
            return [element("pre", f"{PRE};{SCROLL}", text)]
        case blocks.Failure():
            return _draw_failure(block)
        case blocks.Shown():
            return [block.draw()]
        case blocks.Table(table):
            return [element("div", _ROW, draw_table(table))]
        case blocks.Tree(value):
            return [draw_tree(value)]
        case blocks.NoValue():
            return []
        case blocks.Files(rows, left_out):
            return [element("div", _ROW, *draw_files(rows, left_out))]
        case blocks.Details():
            return [_draw_details(block, style, key)]


def time_key(key: str, part: str) -> str:
    """Return the name of the place where the page shows seconds."""
    return f"{key}-{part}"


def _draw_state(state: str) -> Element:
    return element(
        "div", f"{_ROW};border-bottom:{LINE};font-size:12px", element("b", "", "CodeAct "), escape_controls(state)
    )


def _draw_failure(block: blocks.Failure) -> list[Element]:
    """Draw what was done already, the sentence, the line of the program, and the tracebacks behind one line each."""
    colour = colour_style("orange" if block.state == "stopped" else "red")
    styles = {block.message: f";{colour};font-weight:600", block.done: ";font-weight:600" if block.has_effects else ""}
    parts = [
        element("div", f"{_ROW};overflow-wrap:anywhere{styles[sentence]}", sentence) for sentence in block.sentences
    ]
    if block.source:
        parts.append(element("ol", _CODE, element("li", _FAILED_LINE, block.source), start=str(block.line)))
    for title, text in (
        ("Traceback of your function", block.tool_error),
        ("Traceback of the program", block.traceback),
    ):
        if text:
            summary = element("summary", f"{DIM};{_FOLD}", title)
            parts.append(element("details", _ROW, summary, element("pre", f"{PRE};padding:0;{SCROLL}", text)))
    return parts


def _draw_details(block: blocks.Details, style: CardStyle, key: str) -> Element:
    time = [element("span", "", data_codeact_time=time_key(key, "total"))] if key else []
    summary = element("summary", f"{DIM};{_FOLD}", block.summary, *time)
    programs = [
        _draw_program(program) if program.is_last else _fold_program(program, style) for program in block.programs
    ]
    lines = [element("div", DIM, line) for line in block.lines]
    seconds = [element("div", DIM, data_codeact_time=time_key(key, "parts"))] if key else []
    opened = {} if style == "answer" else {"open": ""}
    return element("details", "flex:1 1 60%;min-width:0", summary, *programs, *lines, *seconds, **opened)


def _fold_program(program: blocks.Program, style: CardStyle) -> Element:
    why = truncate_middle(escape_controls(program.attempt.reason), 300)
    summary = element("summary", f"{DIM};{_FOLD}", f"program {program.number}, then asked again: {why}")
    opened = {"open": ""} if style == "full" else {}
    return element("details", "", summary, _draw_program(program), *_draw_output(program.attempt), **opened)


def _draw_output(attempt: Attempt) -> list[Element]:
    output = attempt.output.rstrip("\n")
    return [element("pre", f"{PRE};{SCROLL}", output)] if output else []


def _draw_program(program: blocks.Program) -> Element:
    attempt, failed_line = program.attempt, program.failed_line
    lines = [
        element("li", _FAILED_LINE if number == failed_line else _LINE_OF_CODE, *_draw_code(line))
        for number, line in enumerate(tokenize(escape_hidden(attempt.program).strip("\n")), 1)
    ]
    code = element("ol", _CODE, *lines, data_codeact="program")
    return element("div", "", code, *([_draw_calls(attempt.calls)] if attempt.calls else []))


def _draw_code(line: Sequence[Sequence[str]]) -> list[Node]:
    return [element("span", colour_style(kind), text) if kind else text for kind, text in line]


def _draw_calls(calls: Sequence[CallRow]) -> Element:
    kept, left_out = choose_calls(calls)
    head = [element("div", DIM, count_calls(calls))] if len(calls) > 1 else []
    more = [element("div", DIM, f"… {plural(left_out, 'more call')}")] if left_out else []
    return element("div", f"{MONO};margin:4px 0", *head, *map(_draw_call, kept), *more)


def _draw_call(row: CallRow) -> Element:
    text, result = call_text(row), truncate_middle(call_result(row), 300)
    colour = colour_style("red") if isinstance(row.answer, CallError) else ""
    words = [element("span", DIM, f"  {words}")] if (words := describe_decision(row)) else []
    if len(text) + len(result) <= _MAX_LINE:
        shown = element("span", colour, result) if colour else result
        return element("div", "overflow-wrap:anywhere", f"{text} → ", shown, *words)
    line = f"{text} → {result}"
    summary = element("summary", _FOLD, f"{line[: _MAX_LINE - 10]}…", *words)
    return element("details", "overflow-wrap:anywhere", summary, element("div", f"padding-left:1.2em;{colour}", line))


def _draw_buttons(transcript: Transcript) -> list[Element]:
    """Draw buttons that copy a text. They show in a page in which `card.js` runs, and in no other page."""
    if transcript.result is None or not transcript.key:
        return []
    parts = {"answer": "Copy answer"} | ({"program": "Copy program"} if transcript.result.program else {})
    buttons = [
        *(
            element("button", _HIDDEN, data_codeact_copy="", data_codeact_of=part, title=label)
            for part, label in parts.items()
        ),
        *(element("button", _HIDDEN, data_codeact_copy=text, title=label) for label, text in transcript.copies.items()),
    ]
    return [element("div", "", *buttons)]
