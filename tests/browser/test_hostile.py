"""Texts that try to be more than text, wherever a text of others is shown: live, kept, reloaded, exported.

Nothing of it may run, load, click, or hide something. Each text has a number, so what happened has an author.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, Locator, Page, expect

from codeact_kernel.render import bundle

from ..render.cards import turn
from .conftest import PATIENCE, ROOT, SHOTS, Front, Server
from .hostile import ATTEMPTS, FORGED, FORGERIES, HIDDEN, KINDS, PLACES, ROGUE, Attempt, Canary, Watch, canary, marks

pytestmark = pytest.mark.smoke

RECORD = ROOT / "build" / "escapes" / "page.json"
VIEWS = ("live", "ended", "reloaded", "exported", "exported as Markdown")

SETUP = r"""
import json, sys
from typing import Any
with open("hostile.json", encoding="utf-8") as file:
    H = json.load(file)

def line(texts): return " ".join(texts).replace("\n", " ")

def answers(*texts):
    model = ScriptedModel(list(texts), name=line(one[0] for one in H["model"]))
    model.note = line(line(one) for one in H["model"])
    codeact.use(model)

def ask(magic, *texts):
    answers(*texts)
    get_ipython().run_cell_magic("codeact", magic, line(line(one) for one in H["model"]))

def program(text): return f"{WORDS}\n\n```python\n{text}\n```"

WORDS = "\n\n".join(line(one) for one in H["model"])
COMMENTS = "\n".join(f"# {line([text])}" for texts in H["model"] for text in texts)
DATA = f"T = {H['tools']!r}\nO = {H['output']!r}\nS = {H['shown']!r}\n"

@tool
def echo(value: Any) -> Any:
    "Give it back."
    progress(1, 2, str(value))
    return value

@tool
def fail(text: str) -> str:
    "Fail."
    raise type(text, (Exception,), {})(text)

def asks(value: str, more: dict[str, Any]) -> str: return "allowed"
for number, texts in enumerate(H["tools"]):
    tool(name=f"ask_{number}", description=line(texts), approval_mode="always_require")(asks)
"""
BROKEN = r"""
raise type(O[0][0], (Exception,), {})("\n".join(text for texts in O for text in texts)[:1500])
"""
WHOLE = r"""
import asyncio, sys
for texts in O:
    for text in texts:
        print(text)
        print(text, file=sys.stderr)
for texts in T:
    for text in texts:
        echo(text)
        try:
            fail(text)
        except ToolFailed:
            pass
    echo({text: [text] for text in texts})
for number, texts in enumerate(O):
    for name in (texts[0].replace("/", "\u2215")[:60], f"file {number}"):
        try:
            with open(f"/output/{name}.html", "w") as file:
                file.write("\n".join(texts))
        except OSError as error:
            print(error)
for texts in S:
    show("\n\n".join(texts), title=texts[0])
show("\n".join("\n".join(texts) for texts in S), kind="text")
show([{texts[0]: texts[-1] for texts in S[:9]}, {texts[0]: texts for texts in S[:9]}], title=S[0][0])
show([{texts[0]: texts[-1] for texts in S[9:]}, {texts[0]: texts for texts in S[9:]}])
show({texts[0]: {texts[-1]: texts} for texts in S if "__proto__" not in texts})
show([{texts[0]: texts[-1], "n": 1} for texts in S], chart="bar", x=S[0][0], y="n", title=S[0][0])
calls = [call_tool_async(f"ask_{n}", value=texts[-1], more={texts[0]: texts}) for n, texts in enumerate(T)]
print([str(one) for one in await asyncio.gather(*calls, return_exceptions=True)])
[{texts[0]: texts[n % len(texts)] for texts in O} for n in range(6)]
"""


VALUE = """
{"text/html": O[0][0], "application/javascript": O[0][0], "image/svg+xml": O[3][0], "text/markdown": O[10][1],
 "application/vnd.jupyter.widget-view+json": {"model_id": "1", "version_major": 2, "version_minor": 0}}
"""
OBJECT = """
class Forged(dict):
    def _repr_html_(self): return O[0][0]
    def _repr_mimebundle_(self, *args, **kwargs): return {"text/html": O[0][0]}
    def _ipython_display_(self): print(O[0][0])
    def __repr__(self): return O[2][0]
Forged(a=object())
"""
FORGING, LAST = 5, 9
"""The cells with the forgeries, and with what `%codeact` prints."""
AREA = ".jp-OutputArea-output"
ALLOWED = {"text/plain", "text/html", "text/markdown"}


def forging(url: str) -> str:
    """A program that hands each forgery to what shows things, and prints how it went."""
    lines = [
        "import json, zlib, struct, importlib",
        "call_host = importlib.import_module('codeact_kernel.guest.inside.tool_calls').call_host",
        "def chunk(kind, data): return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))",
        "PNG = b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 1, 1, 8, 2, 0, 0, 0))",
        "PNG += chunk(b'IDAT', zlib.compress(bytes(4))) + chunk(b'IEND', b'')",
    ]
    for one in FORGERIES:
        script = f"__owned({one.number})"
        lines += [f"URL, JS = {url + '/' + one.mark!r}, {script!r}", f"HTML = '<img src=x onerror={script}>'"]
        for line in FORGED[one.kind]:
            lines += ["try:", f"    {line}", f"    print('{one.mark} shown:', {line!r})"]
            lines += ["except Exception as error:", f"    print('{one.mark} refused:', error)"]
    return "\n".join(lines)


@dataclass
class Seen:
    """What the pages did, and what each view of the texts showed."""

    watch: Watch
    canary: Canary
    front: Front
    marks: dict[str, set[int]] = field(default_factory=dict)
    hidden: dict[str, list[str]] = field(default_factory=dict)
    rogue: dict[str, list[str]] = field(default_factory=dict)
    buttons: dict[str, int] = field(default_factory=dict)
    links: dict[str, int] = field(default_factory=dict)
    usual: set[str] = field(default_factory=set)
    notebook: dict[str, Any] = field(default_factory=dict)
    ended: str = ""
    forged: str = ""

    @property
    def numbers(self) -> set[int]:
        return self.watch.numbers | self.canary.numbers

    def look(self, view: str, area: Locator) -> None:
        """Note what these parts of a page show."""
        area.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
        texts = area.all_inner_texts()
        texts += area.locator("textarea, input").evaluate_all("all => all.map(one => one.value)")
        self.marks[view] = marks("\n".join(texts))
        self.hidden[view] = [found[0] for text in texts for found in HIDDEN.finditer(text)]
        self.rogue[view] = area.locator(ROGUE).evaluate_all("all => all.map(one => one.outerHTML)")
        self.buttons[view] = area.get_by_role("button", name="Allow once").count()


@pytest.fixture(scope="module")
def seen(browser: Browser, server: Server) -> Iterator[Seen]:
    with canary() as nobody, opened(browser, server, nobody) as front:
        seen = Seen(Watch(), nobody, front)
        live(seen)
        kept(seen)
        exported(seen, browser, server, "exported")
        exported(seen, browser, server, "exported as Markdown", "text/markdown")
        record(seen)
        yield seen


@contextmanager
def opened(browser: Browser, server: Server, nobody: Canary, without: str = "") -> Iterator[Front]:
    front = Front(browser.new_page(viewport={"width": 1100, "height": 900}), server, "lab", "all-texts")
    front.choose_kernel()

    def texts(one: Attempt) -> list[str]:
        return [one.mark] if one.kind == without else one.texts(nobody.url)

    data = {place: [texts(one) for one in ATTEMPTS if one.place == place] for place in PLACES}
    server.notebooks.joinpath("hostile.json").write_text(json.dumps(data))
    server.notebooks.joinpath("hostile_set.py").write_text(SETUP)
    try:
        yield front
    finally:
        front.shot("end-of-hostile")
        front.page.close()
        server.end_kernels()


def live(seen: Seen) -> None:
    """Every text on the card of a cell that runs, and a script in the page that clicks what it finds."""
    front, url = seen.front, seen.canary.url
    seen.watch.over(front.page)
    front.open(
        "%run -i hostile_set.py",
        f"ask('', program(COMMENTS + '\\n' + DATA + {BROKEN!r}), program(COMMENTS + '\\n' + DATA + {WHOLE!r}))",
        "ask('', WORDS)",
        f"ask('--max-retries 0', program(DATA + {BROKEN!r}))",
        f"ask('', program({forging(url)!r}))",
        f"ask('', program(DATA + {VALUE!r}))",
        f"ask('', program(DATA + {OBJECT!r}))",
        "_codeact",
        "%codeact tools\n%codeact status\n%codeact prompt\n%codeact traceback\n%codeact approvals\n%codeact config",
    )
    front.run(1)
    front.done(1)
    front.run(2)
    front.state("waiting for you", 2)
    expect(front.card(2).locator(".ca-form:not(.ca-batch-decision)")).to_have_count(len(KINDS))
    front.page.wait_for_timeout(600)  # until the buttons take clicks
    seen.look("live", front.page.locator(AREA))
    front.shot("hostile-live")
    front.page.evaluate("document.querySelectorAll('.ca-allow').forEach(one => one.click())")
    front.card(2).locator(".ca-batch-decision .ca-reason").fill(" ".join(one.texts(url)[0] for one in ATTEMPTS[:6]))
    front.click("Deny", 2, front.card(2).locator(".ca-batch-decision"))
    seen.ended = front.whole(2)


def kept(seen: Seen) -> None:
    """The same cells when they are over, in the file, and on a page that was loaded anew."""
    front = seen.front
    for index in range(3, LAST):
        front.run(index)
        text = front.done(index)
        seen.forged = text if index == FORGING else seen.forged
    expect(front.cell(2).locator("img[alt^='Chart']")).to_have_count(1)
    seen.look("ended", front.page.locator(AREA))
    seen.notebook = front.save()
    front.goto_again()
    expect(front.cell(2).locator("img[alt^='Chart']")).to_have_count(1)
    seen.look("reloaded", front.page.locator(AREA))
    for index in range(2, LAST):
        front.cell(index).locator(".jp-OutputArea").first.scroll_into_view_if_needed()
        front.shot(f"hostile-{index}")
    front.run(LAST)
    front.done(LAST)
    seen.look("verbs", front.cell(LAST).locator(AREA))
    front.shot("hostile-verbs")


def exported(seen: Seen, browser: Browser, server: Server, view: str, *kinds: str) -> None:
    """The saved notebook as a page of its own, with these forms of its outputs if any are named."""
    notebook = nbformat.reads(json.dumps(seen.notebook), as_version=4)
    for cell in notebook.cells:
        if kinds:
            cell.outputs = [output for output in cell.outputs if set(kinds) & set(output.get("data", {}))]
        for output in cell.outputs if kinds else ():
            output.data = {kind: data for kind, data in output.data.items() if kind in kinds}
    seen.usual |= {*on_a_page(browser, server, "bare", nbformat.v4.new_notebook(cells=[]))[0].asked}
    watch, page = on_a_page(browser, server, view.replace(" ", "-"), notebook)
    seen.watch.ran |= watch.ran
    seen.watch.asked += [url for url in watch.asked if not url.startswith("file:")]
    seen.watch.opened += watch.opened
    seen.look(view, page.locator(AREA))
    seen.links[view] = page.locator(AREA).locator("a[href*='//127.0.0.1']").count()


def on_a_page(browser: Browser, server: Server, name: str, notebook: Any) -> tuple[Watch, Page]:
    file = server.notebooks / f"{name}.html"
    file.write_text(HTMLExporter().from_notebook_node(notebook)[0], encoding="utf-8")
    page, watch = browser.new_page(), Watch()
    watch.over(page)
    page.goto(file.as_uri(), wait_until="load")
    page.wait_for_timeout(500)
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"hostile-{name}.png")
    return watch, page


def record(seen: Seen) -> None:
    """For the table of the documentation."""
    attempts = [
        {"id": one.id, "tries": one.tries, "where": "embedded", "contained": one.number not in seen.numbers}
        for one in (*ATTEMPTS, *FORGERIES)
    ]
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.write_text(json.dumps({"attempts": attempts}, indent=1))


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda one: one.id)
def test_a_text_is_shown_and_does_nothing(seen: Seen, attempt):
    for view in VIEWS:
        assert attempt.number in seen.marks[view], view
    assert attempt.number not in seen.numbers


@pytest.mark.parametrize("attempt", FORGERIES, ids=lambda one: one.id)
def test_what_is_none_of_the_things_to_show_is_refused(seen: Seen, attempt):
    lines = [line for line in seen.forged.splitlines() if line.startswith(attempt.mark)]
    assert len(lines) == len(FORGED[attempt.kind])
    assert [line for line in lines if not line.startswith(f"{attempt.mark} refused: ")] == []
    assert attempt.number not in seen.numbers


def test_nothing_leaves_the_page(seen: Seen):
    ours = (seen.front.server, seen.front.server.replace("http", "ws"), f"blob:{seen.front.server}")
    assert [url for url in seen.watch.asked if not url.startswith(ours) and url not in seen.usual] == []
    assert seen.watch.requests == []
    assert seen.canary.connections == 0


def test_nothing_opens(seen: Seen):
    assert seen.watch.opened == []


@pytest.mark.parametrize("view", VIEWS)
def test_no_text_becomes_an_element(seen: Seen, view):
    assert seen.rogue[view] == []


def test_no_address_becomes_a_link_in_an_export(seen: Seen):
    assert seen.links == {"exported": 0, "exported as Markdown": 0}


@pytest.mark.parametrize("view", [*VIEWS, "verbs"])
def test_every_character_shows(seen: Seen, view):
    assert seen.hidden[view] == []


def test_only_the_card_has_buttons_and_no_script_can_click_them(seen: Seen):
    assert seen.buttons == {"live": len(KINDS) + 1} | dict.fromkeys([*VIEWS[1:], "verbs"], 0)
    assert seen.ended.count("denied by you") == len(KINDS)
    assert "allowed by you" not in seen.ended


def test_the_file_has_the_kinds_of_output_that_it_may_have_and_no_other(seen: Seen):
    outputs = [output for cell in seen.notebook["cells"] for output in cell["outputs"]]
    assert {kind for output in outputs for kind in output.get("data", {})} <= ALLOWED
    assert "widgets" not in seen.notebook["metadata"]


# ---- the control: without what makes them harmless the same texts do all of it ------------------------------------

UNCHECKED = """
import codeact_kernel.render.shown_items as shown, codeact_kernel.capabilities.show.validation as content
content.validate_chart = lambda spec, limits: spec
shown._chart_text = lambda spec: "Chart"
shown._EMBED = {}
"""
UNESCAPED = """
import sys, codeact.card
for name, module in list(sys.modules.items()):
    if name.startswith("codeact"):
        for name in ("for_html", "escape_controls", "one_line", "escape_hidden"):
            if hasattr(module, name):
                setattr(module, name, lambda text: text)
script = codeact.card._Widget._esm.replace("textContent =", "innerHTML =")
script = script.replace("createTextNode(data)", "createRange().createContextualFragment(data)")
codeact.card._Widget._esm = script
"""
CHARTS = """
show({{"mark": "bar", "data": {{"url": {url!r}}}}})
show({{"mark": "image", "data": {{"values": [{{"u": {url!r}}}]}}, "encoding": {{"url": {{"field": "u"}}}}}})
"""
ALL = """
for texts in O + T:
    for text in texts:
        print(text)
for texts in S:
    show("\\n".join(texts), kind="text")
for texts in S:
    show("\\n\\n".join(texts))
"""
ITEMS = "from IPython.display import Markdown, display\nfor item in codeact.results[-1].shown: display(item)"
MARKDOWN = ITEMS.replace("display(item)", "display(Markdown(str(item.data)))")
INERT = {"H1.page", "H1.entity", "H2.math", "H2.reference", "H4.prototype", "E3.hidden"}
"""The first is left out here. The others do nothing as HTML by themselves: they need Markdown, or a click, or only hide."""


@pytest.mark.full
def test_without_the_escaping_the_same_texts_run_and_load(browser: Browser, server: Server):
    watch = Watch()
    with canary() as nobody, opened(browser, server, nobody, without="H1.page") as front:
        watch.over(front.page)
        front.open(
            "%run -i hostile_set.py", UNCHECKED, f"ask('', program({CHARTS.format(url=nobody.url + '/k200k')!r}))",
            ITEMS, UNESCAPED, f"ask('', program(DATA + {ALL!r}))", MARKDOWN,
        )  # fmt: skip
        for index in (1, 2, 3, 4, 5):
            front.run(index)
            front.done(index)
        assert expected(front, watch, nobody, {200}) == set()
        front.run(6)
        front.done(6)
        front.run(7)
        numbers = {one.number for one in ATTEMPTS if one.kind not in INERT or one.id == "H2.reference.shown"}
        assert expected(front, watch, nobody, numbers) == set()
        assert any(HIDDEN.search(text) for text in front.page.locator(AREA).all_inner_texts())
        assert nobody.connections > 0
        front.shot("hostile-control")


def expected(front: Front, watch: Watch, nobody: Canary, numbers: set[int]) -> set[int]:
    """Which of these texts did not run and had nothing loaded, however long one waits."""
    for _ in range(10 * PATIENCE):
        if numbers <= watch.numbers | nobody.numbers:
            break
        front.page.wait_for_timeout(100)
    return numbers - watch.numbers - nobody.numbers


@pytest.mark.full
def test_without_the_escaping_an_exported_page_runs_loads_and_leaves(browser: Browser, server: Server, monkeypatch):
    monkeypatch.setattr("codeact_kernel.render.elements.for_html", lambda text: text)
    found = [one for one in ATTEMPTS if one.id in ("H1.handler.output", "H2.image.output", "H1.page.output")]
    with canary() as nobody:
        bundles = [
            bundle(turn("\n".join(one.texts(nobody.url))))
            for one in sorted(found, key=lambda one: one.kind == "H1.page")
        ]
        outputs = [nbformat.v4.new_output("display_data", data) for data in bundles]
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=outputs)])
        watch, _ = on_a_page(browser, server, "control", notebook)
        assert {one.number for one in found} <= watch.numbers | nobody.numbers


@pytest.mark.full
def test_a_program_cannot_run_before_all_of_it_was_in_sight(browser: Browser, server: Server):
    beside = "x = 1" + " " * 900 + "; look_up(key='beside')"
    below = "look_up(key='first')" + "\n" * 60 + "look_up(key='below')"
    with canary() as nobody, opened(browser, server, nobody) as front:
        front.open(f"script({beside!r}, {below!r})", "%%codeact --review\nGo.")
        front.run(1)
        front.done(1)
        front.run(2)
        front.state("waiting for you", 2)
        boxes = front.card(2).locator(".ca-program, .ca-code")
        assert boxes.evaluate_all("all => all.filter(one => one.scrollWidth > one.clientWidth + 1).length") == 0
        front.shot("hostile-beside")
        front.card(2).get_by_label("comment for the model").fill("another")
        front.click("Reject", 2)
        box = front.card(2).locator(".ca-program")
        expect(box).to_have_value(below, timeout=10_000)
        expect(front.card(2).get_by_role("button", name="Run", exact=True)).to_be_disabled()
        front.shot("hostile-below")
        box.evaluate("one => one.scrollTo(0, one.scrollHeight)")
        front.click("Run", 2)
        assert "BELOW" in front.done(2)
