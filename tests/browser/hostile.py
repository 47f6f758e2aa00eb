"""Texts that try to be more than text, and what notices if one is: a page, and a server that nobody should ask."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from playwright.sync_api import Dialog, Page

KINDS = {
    "H1.script": ["<script>JS</script>", '<script src="URL"></script>', "<SCRIPT/x src=URL></SCRIPT >"],
    "H1.handler": [
        "<img src=x onerror=JS>", '<details open ontoggle="JS"><summary>s</summary></details>',
        '<input autofocus onfocus="JS">', '<style>@keyframes x{}</style><b style="animation:x 1s" onanimationstart="JS">b</b>',
    ],
    "H1.breakout": [
        '"></textarea></pre></td></div></title></style></script></code><img src=x onerror=JS>',
        "' onmouseover='JS' x=\"", '" autofocus onfocus="JS" style="animation:x 1s', "--><!--><img src=x onerror=JS>",
        "]]><img src=x onerror=JS>",
    ],
    "H1.svg": [
        '<svg onload="JS"><circle r=9 /></svg>', '<svg><image href="URL" width=9 height=9 /></svg>',
        '<svg><script>JS</script><use href="URL#a"/></svg>', '<svg><animate onbegin="JS" attributeName=x dur=1s></svg>',
    ],
    "H1.mutation": [
        '<svg></p><style><a id="</style><img src=x onerror=JS>"></a></style></svg>',
        '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=x onerror=JS&gt;">',
        "<noscript><p title=\"</noscript><img src=x onerror=JS>\"></noscript>", "<a<b><img/src=x/onerror=JS//",
    ],
    "H1.style": [
        "<style>@import url(URL);.jp-Cell{background:url(URL)}</style>", '<link rel=stylesheet href="URL">',
        '<div style="position:fixed;inset:0;pointer-events:none;background:url(URL)">over</div>', '<link rel=preconnect href="URL">',
    ],
    "H1.frame": [
        '<iframe src="URL"></iframe>', '<iframe srcdoc="<script>JS</script>"></iframe>', '<object data="URL"></object>',
        '<embed src="URL">', '<iframe src="javascript:JS"></iframe>', '<form action="URL"><button autofocus>Go</button></form>',
    ],
    "H1.page": ['<base href="URL/">', '<meta http-equiv=refresh content="0;url=URL">', '<body onload=JS background="URL">'],
    "H1.entity": ["&lt;img src=x onerror=JS&gt;", "&#60;script&#62;JS&#60;/script&#62;", "&amp;lt;script&amp;gt;JS", "%3Cscript%3EJS%3C/script%3E"],
    "H1.terminal": ["\x1b]8;;URL\x07here\x1b]8;;\x07", "\x1b[8mhidden\x1b[0m\x1b[2J", "\x1b]0;<img src=x onerror=JS>\x07", "\x9b31mred\x9c"],
    "H2.image": ['<img src="URL">', "![pixel](URL)", '<video poster="URL" src="URL"></video>', '<picture><source srcset="URL"><img></picture>'],
    "H2.link": ['<a href="javascript:JS" autofocus>a</a>', "[b](javascript:JS)", "<javascript:JS>", "[c](data:text/html,<script>JS</script>)", "<URL>", "URL"],
    "H2.reference": ["![pixel][R] [R] [R][]\n\n[R]: URL\n", "[R]: javascript:JS 'title'\n", "[![in](URL)](URL)", "\n- [ ] [x](URL)\n> ![y](URL)\n"],
    "H2.math": [
        "$\\href{javascript:JS}{x}$", "$$\\includegraphics{URL}$$", "\\(\\style{background:url(URL)}{x}\\)",
        "\\[\\class{x}{y}\\unicode{x3c}img src=x onerror=JS\\unicode{x3e}\\]", "$\\require{html}\\href{URL}{y}$",
    ],
    "H3.mime": ['{"text/html": "<img src=x onerror=JS>", "application/javascript": "JS", "image/svg+xml": "<svg onload=JS>"}', "data:text/html,<script>JS</script>"],
    "H4.prototype": ['{"__proto__": {"owned": 1}, "constructor": {"prototype": {"owned": 1}}}', "__proto__", "constructor", "toString"],
    "E2.button": [
        '<div class="ca-buttons"><button type="button" class="ca-allow" onclick="JS">Allow once</button></div>',
        "<script>document.querySelectorAll('.ca-allow').forEach(one => one.click())</script>",
        "**[Allow once](javascript:JS)** `Allow once`",
    ],
    "E3.hidden": ["user\u202egpj.exe\u2066x\u2069", "ad\u200bm\u00adin\ufeff\u2060\u200f", "a\u2028b\u2029c\x85d", "\U000e0041\U000e0042\u3164\u2800\u115f"],
}  # fmt: skip
"""What is tried, by its place in the catalogue. JS runs what is noticed, URL is the server's, R is a name."""
PLACES = {
    "model": "the model's prose, program, name and notes",
    "tools": "tools' descriptions, arguments, progress, results and errors",
    "output": "the output, errors, results and files of a program",
    "shown": "the items that a program shows",
}
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u2000-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
ROGUE = (
    "script, iframe, object, embed, base, meta, link, form:not(.vega-bindings), video, audio, picture, source, svg use, svg image, svg script, "
    "details[ontoggle], [onerror], [onload], [onclick], [onfocus], [autofocus], [style*='url('], [style*='fixed'], "
    "img:not([src^='data:image/']), [href^='javascript:' i], [href^='data:text' i]"
)
"""What no text may have become."""


@dataclass(frozen=True)
class Attempt:
    """One kind of text in one kind of place. Each has a number, which tells who it was that ran or asked."""

    number: int
    kind: str
    place: str

    @property
    def id(self) -> str:
        return f"{self.kind}.{self.place}"

    @property
    def mark(self) -> str:
        return f"k{self.number}k"

    @property
    def tries(self) -> str:
        lines = KINDS.get(self.kind) or FORGED[self.kind]
        return f"{PLACES[self.place]}: {'   '.join(lines)}".encode("unicode_escape").decode()

    def texts(self, url: str) -> list[str]:
        own = {"JS": f"__owned({self.number})", "URL": f"{url}/{self.mark}"}
        return [
            f"{self.mark} " + re.sub(r"JS|URL|\bR\b", lambda found: own.get(found[0], f"r{self.number}"), text)
            for text in KINDS[self.kind]
        ]


ATTEMPTS = [
    Attempt(100 + number, kind, place)
    for number, (place, kind) in enumerate((place, kind) for place in PLACES for kind in KINDS)
]
FORGED = {
    "H2.chart-data": [
        'show({"mark": "bar", "data": {"url": URL}})', 'show({"mark": "bar", "data": {"values": []}, "datasets": {"a": [{"url": URL}]}})',
        'show({"mark": "bar", "transform": [{"lookup": "a", "from": {"data": {"url": URL}, "key": "a"}}]})',
        'show({"marks": [], "data": [{"name": "a", "url": URL}], "$schema": "https://vega.github.io/schema/vega/v5.json"})',
    ],
    "H2.chart-image": [
        'show({"mark": "image", "data": {"values": [{"u": URL}]}, "encoding": {"url": {"field": "u"}}})',
        'show({"mark": {"type": "image", "url": URL}, "data": {"values": [{}]}})',
        'show([{"image": URL}], chart={"mark": {"type": "bar", "tooltip": True}, "encoding": {"x": {"field": "image"}}})',
        'show([{"a": 1}], chart={"mark": "bar", "background": "url(" + URL + ")"})',
    ],
    "H2.chart-link": [
        'show([{"a": URL}], chart={"mark": "bar", "encoding": {"href": {"field": "a"}}})',
        'show([{"a": 1}], chart={"mark": {"type": "bar", "href": "javascript:" + JS}})',
    ],
    "H2.chart-expression": [
        'show([{"a": 1}], chart={"mark": "bar", "params": [{"name": "p", "expr": JS}]})',
        'show([{"a": 1}], chart={"mark": "bar", "transform": [{"calculate": JS, "as": "b"}]})',
        'show([{"a": 1}], chart={"mark": {"type": "bar", "color": {"signal": JS}}})',
        'show([{"a": 1}], chart={"mark": "bar", "encoding": {"x": {"field": "a", "axis": {"labelExpr": JS}}}})',
    ],
    "H2.chart-options": [
        'show([{"a": 1}], chart={"mark": "bar", "usermeta": {"embedOptions": {"patch": URL, "loader": {"baseURL": URL}}}})',
        'show([{"a": 1}], chart={"mark": "bar", "config": {"customFormatTypes": True, "style": {"a": {"url": URL}}}})',
    ],
    "H3.show": [
        'show(HTML, kind="html")', 'call_host("show", "item", kind="text/html", title="", text=HTML, last=True)',
        'call_host("show", "item", kind="application/javascript", title="", text=JS, last=True)',
        'call_host("show", "item", kind=["html"], title={"text/html": HTML}, text=HTML, last=True)',
        'call_host("show", "item", kind="chart", title="", text=json.dumps({"text/html": HTML}), last=True)',
        'call_host("show", "item", kind="table", title="", text=json.dumps({"text/html": HTML}), last=True)',
    ],
    "H4.image": [
        'show(b"<svg onload=\'" + JS.encode() + b"\'/>", kind="image")', 'show(b"GIF89a" + HTML.encode(), kind="image")',
        'show(PNG[:8] + HTML.encode())', 'show(PNG + HTML.encode())', 'show(PNG[:40])',
        'show(PNG.replace((1).to_bytes(4, "big") * 2, (1 << 30).to_bytes(4, "big") * 2))',
    ],
    "H4.json": ['show({"__proto__": {"owned": 1}})', 'show([{"__proto__": 1}], chart="bar", x="__proto__")', 'show([[[[[[[[[[1]]]]]]]]]] * 2 + [json.loads("[" * 40 + "]" * 40)])'],
}  # fmt: skip
"""Things to show that are none, each a line of a program: every one has to be refused."""
FORGERIES = [Attempt(200 + number, kind, "shown") for number, kind in enumerate(FORGED)]


def texts(place: str, url: str) -> list[str]:
    return [text for attempt in ATTEMPTS if attempt.place == place for text in attempt.texts(url)]


def marks(text: str) -> set[int]:
    return {int(number) for number in re.findall(r"k(\d+)k", text)}


@dataclass
class Watch:
    """What pages did that no text may bring about."""

    ran: set[int] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        """Before the page is loaded."""
        page.expose_function("__owned", lambda number: self.ran.add(number))
        page.on(
            "request",
            lambda request: self.asked.append(request.url) if not request.url.startswith("data:image/") else None,
        )
        page.on("dialog", self._dialog)
        page.on("popup", lambda popup: self.opened.append(popup.url))
        page.on("download", lambda download: self.opened.append(download.url))

    def _dialog(self, dialog: Dialog) -> None:
        if dialog.type == "beforeunload":  # the front end's own
            return dialog.accept()
        self.opened.append(dialog.message)
        return dialog.dismiss()

    @property
    def requests(self) -> list[str]:
        return [url for url in self.asked if marks(url)]

    @property
    def numbers(self) -> set[int]:
        """Which texts ran, or had something loaded."""
        return self.ran | {number for url in self.requests for number in marks(url)}


class Canary(ThreadingHTTPServer):
    """A server of nobody's. It sees what no page tells of: connections that are only opened."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.connections = 0
        self.paths: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def numbers(self) -> set[int]:
        return {number for path in self.paths for number in marks(path)}

    def get_request(self):
        self.connections += 1
        return super().get_request()


class _Answer(BaseHTTPRequestHandler):
    server: Canary

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        number = min(marks(self.path), default=0)
        body = f"__owned({number})".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def canary() -> Iterator[Canary]:
    with Canary() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
