"""Requests of a program in a notebook: a row in the card each, decided as any other call."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Site:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str, bytes]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.give()

            do_POST = do_GET

            def give(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                site.seen.append((self.command, self.path, body))
                if self.path.startswith("/away"):
                    self.send_response(302)
                    self.send_header("Location", "http://localhost:9/secret")
                    self.end_headers()
                    return
                answer = b'{"temp": 21.5}'
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    thread = threading.Thread(target=site.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    site.server.shutdown()
    thread.join()
    site.server.server_close()


def test_what_is_allowed_is_fetched_and_is_a_row(nb, site):
    cell = nb.ask(f"http_get('{site.url}/now').json()['temp']", options=f"--allow-domain {site.url}")
    assert nb.get("codeact.results[-1].value, codeact.results[-1].error") == (21.5, None)
    assert site.seen == [("GET", "/now", b"")]
    assert "→ http_request(" in cell.text
    assert f"{site.url}/now" in cell.text
    assert site.url in nb.asked[0][1]


def test_urllib_works_for_what_is_allowed_and_says_what_is_not(nb, site):
    program = """
import urllib.error, urllib.request
with urllib.request.urlopen("{url}/now") as page:
    first = page.read().decode()
try:
    urllib.request.urlopen("http://127.0.0.1:1/x")
except urllib.error.URLError as error:
    second = str(error.reason)
first, second
""".strip().replace("{url}", site.url)
    nb.ask(program, options=f"--allow-domain {site.url}")
    first, second = nb.get("codeact.results[-1].value")
    assert first == '{"temp": 21.5}'
    assert "127.0.0.1:1" in second
    assert site.url in second


def test_without_a_domain_there_is_no_network_and_the_words_say_how_to_have_one(nb, site):
    cell = nb.ask(f"import urllib.request\nurllib.request.urlopen('{site.url}')", options="--max-retries 0")
    assert cell.status == "error"
    assert "allowed_domains" in cell.text
    cell = nb.ask(f"http_get('{site.url}')", options="--max-retries 0")
    assert cell.status == "error"
    assert "no host is allowed" in cell.text
    assert site.seen == []


def test_a_redirect_to_another_host_is_refused_in_its_row(nb, site):
    cell = nb.ask(f"http_get('{site.url}/away').status", options=f"--allow-domain {site.url} --max-retries 0")
    assert cell.status == "error"
    assert "http://localhost:9 is not allowed" in cell.text, cell.text
    assert len(site.seen) == 1


@pytest.fixture
def asking(nb, site):
    nb.do(
        "from codeact_kernel import AllowedDomain\n%config CodeAct.approval_ui = 'stdin'\n"
        f"%config CodeAct.allowed_domains = [AllowedDomain('{site.url}', approval_mode='always_require')]"
    )
    yield nb
    nb.do("%config CodeAct.approval_ui = 'auto'\n%config CodeAct.allowed_domains = []\n%codeact approvals revoke all")


def test_a_request_may_need_the_users_word(asking, site):
    cell = asking.ask(f"http_post('{site.url}/pay', json={{'n': 1}}).status", answers=["y"])
    assert "http_request" in cell.questions[0]
    assert "POST" in cell.questions[0]
    assert asking.get("codeact.results[-1].value") == 200
    assert site.seen[0][:2] == ("POST", "/pay")
    cell = asking.ask(f"http_post('{site.url}/pay').status", options="--max-retries 0", answers=["n not today"])
    assert "not today" in cell.text
    assert len(site.seen) == 1


def test_for_this_session_is_for_that_method_and_host_alone(asking, site):
    asking.ask(f"http_get('{site.url}/a').status", answers=["s"])
    cell = asking.ask(f"http_get('{site.url}/b').status", answers=[])
    assert cell.questions == []
    cell = asking.ask(f"http_post('{site.url}/c').status", options="--max-retries 0", answers=["n no"])
    assert cell.questions
    assert [path for _, path, _ in site.seen] == ["/a", "/b"]
