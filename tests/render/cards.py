"""Turns to draw, and a reader of the HTML that notices everything that is not plain text in a known element."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from codeact_kernel.types import (
    CallError,
    CallRecord,
    CallResult,
    Decision,
    Isolation,
    ProgramFailure,
    Timings,
    ToolCall,
    TurnResult,
    Usage,
)

ISOLATION = Isolation(backend="embedded", boundary="WebAssembly in a locked-down process", layers=("seccomp",))
ELEMENTS = {
    "a", "b", "button", "code", "details", "div", "img", "li", "ol", "pre", "span", "summary", "table", "tbody", "td", "th",
    "thead", "tr",
}  # fmt: skip
ATTRIBUTES = {
    "details": {"open"}, "div": {"data-codeact"}, "ol": {"data-codeact", "start"}, "a": {"href", "target", "rel"},
    "span": {"data-codeact-time"}, "button": {"data-codeact-copy", "data-codeact-of", "title"},
    "img": {"src", "alt", "width"},
}  # fmt: skip


def call(name="get_orders", answer=None, number=1, by="policy", **arguments) -> CallRecord:
    answer = CallResult(value=1) if answer is None else answer
    decision = Decision(choice="allow_once", by=by)
    return CallRecord(
        call=ToolCall(id=number, name=name, arguments=arguments), decision=decision, answer=answer, seconds=0.0123
    )


def failed(message: str) -> CallError:
    return CallError(kind="ToolFailed", message=message)


def turn(value=None, program="rows", **more) -> TurnResult:
    given = {
        "ask": "Totals?", "text": None if value is None else repr(value), "isolation": ISOLATION, "model": "some-model",
        "model_turns": 1, "usage": Usage(prompt_tokens=1200, completion_tokens=34),
        "timings": Timings(model=1.5, sandbox=0.25, tools=0.125),
    }  # fmt: skip
    return TurnResult(value=value, program=program, **(given | more))


def failure(kind="ValueError", message="no", traceback="", **more) -> TurnResult:
    return turn(error=ProgramFailure(kind=kind, message=message, traceback=traceback), **more)


class Reader(HTMLParser):
    """Reads a card; fails on everything that a card may not hold."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.data = ""
        self.open: list[str] = []
        self.cells: list[str] = []
        self.summaries: list[str] = []
        self.opened: list[bool] = []
        self.pictures: list[str] = []
        self.buttons: dict[str, dict[str, str | None]] = {}
        self.feed(html)
        self.close()
        assert self.open == [], "an element is not closed"

    def handle_starttag(self, tag, attrs):
        assert tag in ELEMENTS, tag
        attributes = dict(attrs)
        extra = {"data-codeact-time"} if tag == "div" else set()
        assert set(attributes) <= {"style"} | ATTRIBUTES.get(tag, set()) | extra, attributes
        style = (attributes.get("style") or "").replace("position:sticky;top:0", "")
        assert not any(word in style.lower() for word in ("url(", "http", "expression", "import", "position"))
        if tag == "img":
            assert re.fullmatch("data:image/(png|jpeg);base64,[A-Za-z0-9+/=]*", attributes["src"])
            self.pictures.append(attributes["alt"])
            return
        if tag == "button":
            self.buttons[attributes["title"]] = attributes
        self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")
        if tag == "summary":
            self.summaries.append("")
        if tag == "details":
            self.opened.append("open" in attributes)

    def handle_startendtag(self, tag, attrs):
        raise AssertionError(f"<{tag}/>")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> does not close what is open"

    def handle_data(self, data):
        self.data += data
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data
        if "summary" in self.open:
            self.summaries[-1] += data

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    def handle_decl(self, decl):
        raise AssertionError(f"a declaration: {decl}")

    def handle_pi(self, data):
        raise AssertionError(f"an instruction: {data}")

    def unknown_decl(self, data):
        raise AssertionError(f"a declaration: {data}")
