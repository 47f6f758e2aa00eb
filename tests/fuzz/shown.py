"""What a user sees of hostile text: the card in every form, Markdown of a program, and what it showed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

from codeact_kernel import events as e
from codeact_kernel.bridge import strict_json
from codeact_kernel.capabilities.show import Show
from codeact_kernel.errors import BridgeError, ProgramError
from codeact_kernel.limits import ShowLimits
from codeact_kernel.render import Transcript, bundle, summarise_progress, to_card
from codeact_kernel.render.elements import element, write_html, write_json
from codeact_kernel.render.markdown_elements import read_markdown
from codeact_kernel.render.shown_items import draw_item, item_bundle, item_text
from codeact_kernel.settings import Limits
from codeact_kernel.types import (
    CallError,
    CallRecord,
    CallResult,
    Decision,
    DisplayItem,
    Isolation,
    JSONObject,
    JSONValue,
    OutputFile,
    ProgramFailure,
    ShownKind,
    ToolCall,
    TurnResult,
)

from ..render.cards import ELEMENTS, Reader
from ..render.test_hostile import FORBIDDEN, outside_of_fences

_LINK = re.compile(r"(?!//)[A-Za-z0-9_.~/%-]*")
_MARKUP = re.compile(r"(?<!\\)(?:\\\\)*[\[\]`$]")
_EMPTY = {"br", "hr"}
_PROSE = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "em", "strong", "s", "code"} | _EMPTY
_LOADING = {"url", "href", "src", "expr", "signal", "params", "lookup", "calculate", "filter", "test", "name"}
_MEDIA = {
    "text/plain", "text/html", "image/png", "image/jpeg", "application/json", "application/vnd.vegalite.v5+json",
}  # fmt: skip
_KINDS: tuple[ShownKind, ...] = get_args(ShownKind)


class Page(Reader):
    """Beside what a card may hold: links to files, and marks of prose."""

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "a":
            assert _LINK.fullmatch(attributes["href"] or ""), attributes
        if tag in _PROSE - ELEMENTS:
            assert set(attributes) <= {"style", "start"}
            assert (attributes.get("start") or "1").isdecimal()
            if tag not in _EMPTY:
                self.open.append(tag)
        else:
            super().handle_starttag(tag, attrs)


def card_target(data: bytes) -> None:
    """Texts, one after the other in `\\x1e`, in all places of a turn that somebody else fills.

    By the length of the input the turn is one of which the result was kept, or one that was seen under way.
    """
    part = _parts(data)
    result = _result(part)
    if len(data) % 2:
        _drawn(result, Transcript.from_result(result))
        return
    seen = Transcript()
    for number, event in enumerate(_events(part, result)):
        seen.apply(event)
        if number == 8:  # a program runs that a user was asked about
            _harmless(to_card(seen))
    _drawn(seen, seen)


def prose_target(data: bytes) -> None:
    """Markdown of a program becomes marks of text and no more."""
    html = write_html(element("div", "", *(read_markdown(_text(data)) or [])))
    assert len(html) <= 3_000_000
    _page(html)


def show_target(data: bytes) -> None:
    """A line with a kind, one with a title, and what is shown: refused, or shown harmlessly."""
    kind, title, text = ([*_text(data, "ignore").split("\n", 2), "", ""])[:3]
    if kind.isdecimal():
        kind = _KINDS[int(kind[:3]) % len(_KINDS)]
    items: list[DisplayItem] = []
    capability = Show(items.append, ShowLimits())
    half = len(text) // 2
    try:
        for piece, last in ((text[:half], False), (text[half:], True)):
            _run(capability.handlers["item"]({"kind": kind, "title": title, "text": piece, "last": last}))
    except ProgramError:
        assert not items
        return
    (item,) = items
    drawn = draw_item(item)
    _page(write_html(drawn))
    made, metadata = item_bundle(item)
    assert set(made) <= _MEDIA
    json.dumps([made, metadata], allow_nan=False).encode()
    for said in _texts([made, write_json(drawn), item_text(item)]):
        assert not FORBIDDEN.search(said), said
    if item.kind == "chart":
        loading = _LOADING & set(_names(made["application/vnd.vegalite.v5+json"]))
        assert not loading, loading
    assert "__proto__" not in set(_keys(made))


def _drawn(what: Transcript | TurnResult, seen: Transcript) -> None:
    forms = bundle(what, "full")
    for text in forms.values():
        assert not FORBIDDEN.search(text)
        text.encode()
    _page(forms["text/html"])
    for line in outside_of_fences(forms["text/markdown"]):
        assert not _MARKUP.search(line) or re.search(r"^- \[.*\]\([A-Za-z0-9_.~/%-]*\) \(", line), line
        assert set(re.findall(r"<[^>]*>?", line)) <= {"<sub>", "</sub>"}, line
    _harmless(to_card(seen))
    json.dumps(summarise_progress(seen), allow_nan=False)  # who shows these figures makes them harmless


def _harmless(card: JSONObject) -> None:
    json.dumps(card, allow_nan=False)
    assert not any(map(FORBIDDEN.search, _texts(card)))


def _page(html: str) -> None:
    assert not FORBIDDEN.search(html)
    Page(html)
    bare = html.replace("<span>$</span>", "").replace("<span>\\</span>", "")
    assert "$" not in bare, "a page would typeset this"


def _result(part: Iterator[str]) -> TurnResult:
    a, b, c = next(part), next(part), next(part)
    record = CallRecord(
        call=ToolCall(id=1, name=a, arguments={b: _value(c)}, line=1),
        decision=Decision(choice="allow_once", by="user", arguments={next(part): _value(a)}),
        answer=CallResult(value=_value(b)),
        seconds=0.01,
    )
    raised = CallRecord(
        call=ToolCall(id=2, name=b, arguments={}),
        decision=Decision(choice="reject", by="policy", reason=c),
        answer=CallError(kind="ToolFailed", message=next(part)),
        seconds=0.0,
    )
    failure = ProgramFailure(kind=next(part), message=next(part), traceback=next(part)) if len(a) % 2 else None
    file = OutputFile(name=next(part), path=next(part), size=9, media_type=next(part), preview=next(part))
    return TurnResult(
        ask=next(part), program=next(part), answer=next(part), calls=[record, raised], value=_value(next(part)), text=a,
        stdout=next(part), stderr=b, files=[file], outputs={c: None}, error=failure, model=next(part), note=next(part),
        isolation=Isolation(backend="embedded", boundary="WebAssembly", layers=(b,), missing=(c,)),
    )  # fmt: skip


def _events(part: Iterator[str], result: TurnResult) -> Iterator[e.Event]:
    call = result.calls[0].call
    yield e.TurnStarted(ask=next(part), model=next(part), note=next(part), tools=())
    yield e.ModelRequested(number=1)
    yield e.TextDelta(text=next(part))
    yield e.ProgramDelta(text=next(part))
    yield e.ProgramReady(program=next(part), attempt=1)
    yield e.ReviewRequested(program=next(part), problem=next(part))
    yield e.ReviewDecided(program=next(part), comment=next(part))
    yield e.RunStarted(run=1, isolation=result.isolation or Isolation(backend="x", boundary="x"))
    yield e.DataTransferred(name="rows", done=1, total=2)  # a variable of the notebook's
    yield e.OutputWritten(stream="stdout", text=next(part))
    yield e.CallRequested(run=1, call=call)
    yield e.ApprovalRequested(run=1, call=call)
    yield e.CallProgressed(run=1, call=call, done=1, total=None, text=next(part))
    yield e.ApprovalDecided(run=1, call=call, decision=result.calls[0].decision, waited=0.1)
    if len(call.name) % 3:
        yield e.CallFinished(run=1, call=call, answer=result.calls[1].answer, seconds=0.1)
    yield e.ItemDisplayed(item=DisplayItem(kind="text", title=next(part), data=next(part)))
    yield e.RetryStarted(attempt=2, reason=next(part))
    yield e.Notice(text=next(part))


def _parts(data: bytes) -> Iterator[str]:
    texts = _text(data).split("\x1e")
    at = 0
    while True:
        yield texts[at % len(texts)]
        at += 1


def _text(data: bytes, otherwise: str = "surrogatepass") -> str:
    """A model's text may have lone surrogates; a guest's may not, which its frames are refused for."""
    try:
        return data.decode("utf-8", otherwise)
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def _value(text: str) -> JSONValue:
    try:
        return strict_json.loads(text.encode("utf-8", "replace"), limit=1 << 20, depth=Limits().depth)
    except BridgeError:
        return text


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list | tuple):
        for one in [*node, *node.values()] if isinstance(node, dict) else node:
            yield from _texts(one)


def _keys(node: Any) -> Iterator[str]:
    for one in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _keys(one)
    if isinstance(node, dict):
        yield from node


def _names(node: Any) -> Iterator[str]:
    """The properties of a chart; the rows of its data are no properties."""
    if isinstance(node, dict):
        for name, one in node.items():
            yield name
            if name != "values":
                yield from _names(one)
    elif isinstance(node, list):
        for one in node:
            yield from _names(one)


def _run(service: Any) -> Any:
    """A service that waits for nothing, without a loop."""
    try:
        service.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the service waits for something")
