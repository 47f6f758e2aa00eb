"""Every cap, lowered so far that a small program goes beyond it: it is stopped there, and told by what.

A cap that a new version of a library no longer keeps is noticed here.
"""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from codeact_kernel import AllowedDomain, AutoApprove, Decision, ModelError, ScriptedModel, UserError
from codeact_kernel.configuration.limit_options import NAMES, apply_limits
from codeact_kernel.settings import Limits

from .conftest import Kernel, unlisted

pytestmark = pytest.mark.asyncio(loop_scope="session")


def tried(statement: str, before: str = "") -> str:
    """A program whose value is the error that the statement ends with."""
    return f"{before}seen = None\ntry:\n    {statement}\nexcept Exception as error:\n    seen = f'{{type(error).__name__}}: {{error}}'\nseen"


PNG = (
    "import zlib, struct\ndef chunk(kind, data):\n    body = kind + data\n"
    "    return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))\n"
    "png = b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 64, 64, 8, 0, 0, 0, 0))"
    " + chunk(b'IDAT', zlib.compress(bytes(65 * 64))) + chunk(b'IEND', b'')\n"
)
VALUES = "{'values': [{'x': n, 'y': str(n)} for n in range(40)]}"
SIDES = "{'x': {'field': 'x', 'type': 'quantitative'}, 'y': {'field': 'y', 'type': 'nominal'}}"
CHART = f"{{'mark': 'point', 'data': {VALUES}, 'encoding': {SIDES}}}"
NESTED = "value = []\nfor _ in range(12):\n    value = [value]\n"

# The cap, what it is lowered to, a program that goes beyond it, and what is then seen.
CASES: list[tuple[str, str, str, str]] = [
    ("arguments_bytes", "100", tried("echo('x' * 200)"), "arguments of 212 bytes, the limit is 100"),
    ("value_bytes", "1024", "'x' * 2000", "x"),
    ("depth", "8", tried("echo(value)", NESTED), "nested"),
    ("calls_per_run", "3", tried("[add(a=1, b=n) for n in range(9)]"), "more than 3 tool calls in one run"),
    (
        "host_calls_per_run",
        "5,calls_per_run=1",
        tried("[open('/output/x', 'w').close() for _ in range(99)]"),
        "more than 5 steps",
    ),
    ("output_characters", "2000", "print('x' * 99_999)", "left out"),
    ("error_characters", "60", tried("call_tool('echo', **{'x' * 200: 1})"), r"ToolFailed: .{1,60}'"),
    ("result_bytes", "5000000", tried("make(6_000_000)"), "ToolFailed"),
    ("turn_arguments_bytes", "1000", tried("[echo('x' * 600) for _ in range(4)]"), "of arguments in all"),
    ("output.files", "2", tried("[open(f'/output/{n}', 'w').close() for n in range(9)]"), "OSError"),
    ("output.file_bytes", "100", tried("with open('/output/x', 'w') as out: out.write('x' * 999)"), "OSError"),
    (
        "output.all_bytes",
        "100",
        tried("[__import__('pathlib').Path(f'/output/{n}').write_text('x' * 60) for n in range(3)]"),
        "OSError",
    ),
    ("output.depth", "2", tried("__import__('os').makedirs('/output/a/b/c')"), "OSError"),
    ("show.items", "2", tried("[show(n) for n in range(5)]"), "2"),
    ("show.turn_bytes", "500", tried("[show('x' * 300) for n in range(5)]"), "Error|Failed"),
    ("show.text_characters", "100", tried("show('x' * 300)"), "100"),
    ("show.json_bytes", "100", tried("show({'a': 'x' * 300})"), "Error|Failed"),
    ("show.table_bytes", "100", tried("show([{'a': 'x' * 300}])"), "Error|Failed"),
    ("show.table_columns", "3", tried("show([{f'c{n}': n for n in range(9)}])"), "3"),
    ("show.image_bytes", "50", tried("show(png)", PNG), "Error|Failed"),
    ("show.image_pixels", "50", tried("show(png)", PNG), "50"),
    ("show.chart_bytes", "300", tried(f"show({CHART})"), "Error|Failed"),
    ("show.chart_rows", "5", tried(f"show({CHART})"), "5"),
    ("show.chart_entries", "5", tried(f"show({CHART})"), "5"),
    ("show.chart_views", "1", tried(f"show({{'data': {VALUES}, 'hconcat': [{CHART}, {CHART}]}})"), "1"),
    ("show.chart_pixels", "1000", tried(f"show({{'width': 400, 'height': 400, **{CHART}}})"), "1,000"),
    ("show.depth", "4", tried("show({'a': value})", NESTED), "nested|deep|levels"),
    ("http.url_characters", "60", tried("http_get(URL + '/' + 'x' * 99)"), "60"),
    ("http.headers", "1", tried("http_get(URL, headers={'a': '1', 'b': '2'})"), "header"),
    ("http.header_bytes", "20", tried("http_get(URL, headers={'a': 'x' * 99})"), "header"),
    ("http.body_bytes", "20", tried("http_post(URL, json='x' * 99)"), "20 bytes"),
    ("http.reply_bytes", "20", tried("http_get(URL).text"), "more than 20 bytes"),
    ("http.redirects", "1", tried("http_get(URL + '/again')"), "redirect"),
]
ELSEWHERE = {
    "cpu_seconds": "sandbox/test_worker.py",
    "start_seconds": "sandbox/test_worker.py",
    "tool_seconds": "notebook/test_interrupt.py",
    "model_seconds": "model/test_openai_client.py",
    "frame_bytes": "bridge/test_protocol.py",
    "answer_bytes": "tools/test_results.py",
    "calls_in_flight": "sandbox/test_contract.py",
    "kept_bytes": "data/test_in_and_out.py",
    "outputs_bytes": "data/test_hostile.py",
    "output.mounted_files": "files/test_folder.py",
    "output.mounted_bytes": "files/test_folder.py",
    "show.title_characters": "show/test_capability.py",
    "http.kept_bytes": "network/test_tool.py",
    "http.seconds": "network/test_fetch.py",
    "thread_tokens": "memory/test_thread.py",
    "tools_tokens": "test_many_tools.py",
}
"""Caps whose test needs more than a program, below tests/."""
HERE = {
    "program_bytes", "turn_tokens", "observations", "direct_calls", "denials_per_tool", "shown_to_model",
    "value_in_bytes", "show.table_rows",
}  # fmt: skip
NO_CAPS = {"show.chart_side", "http.connect_seconds"}  # a width, and a part of http.seconds


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302 if self.path == "/again" else 200)
            self.send_header("Location", "/again")
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"x" * 100)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


async def test_every_cap_has_a_test():
    named = [name for name, *_ in CASES] + list(ELSEWHERE) + sorted(HERE | NO_CAPS)
    assert sorted(named) == sorted(NAMES)
    for name, file in ELSEWHERE.items():
        assert name.rpartition(".")[2] in (Path(__file__).parents[1] / file).read_text(encoding="utf-8"), name


@pytest.mark.parametrize(("cap", "lowered", "program", "seen"), CASES, ids=[name for name, *_ in CASES])
async def test_a_program_that_goes_beyond_a_cap_is_stopped_there(kernel, url, cap, lowered, program, seen):
    program = program.replace("URL", repr(url))
    options = {"allowed_domains": [AllowedDomain(url)]} if cap.startswith("http.") else {}
    free = await kernel.turn(program, direct=True, **options)
    kernel.ran.clear()
    turn = await kernel.turn(program, direct=True, **lower(kernel, f"{cap}={lowered}"), **options)
    kernel.ran.clear()
    assert re.search(seen, turn.seen)
    assert turn.seen != free.seen  # the control: there is no such end without the cap


def lower(kernel: Kernel, caps: str) -> dict[str, Limits]:
    return {"limits": apply_limits(kernel.settings.limits, caps.split(","))}


async def test_a_program_that_is_too_long_is_not_taken(kernel):
    with pytest.raises(ModelError, match="longer than 200 bytes"):
        await kernel.turn(f"'{'x' * 300}'", direct=True, **lower(kernel, "program_bytes=200"))


async def test_a_turn_that_has_used_its_tokens_asks_the_model_no_more(kernel):
    looks = ["observe(1)", "observe(2)", "42"]
    assert (await kernel.turn(*looks, direct=True)).result.value == 42
    turn = await kernel.turn(*looks, direct=True, **lower(kernel, "turn_tokens=10"))
    assert turn.result.model_turns == 1
    assert re.search(r"the turn used \d+ tokens and may use 10", turn.seen)


async def test_a_model_that_only_looks_at_data_comes_to_an_end(kernel):
    turn = await kernel.turn(*["observe(1)"] * 9, direct=True, **lower(kernel, "observations=2"))
    assert turn.result.model_turns == 3
    assert "looked at data 3 times" in turn.seen


async def test_a_model_that_calls_tools_itself_comes_to_an_end(kernel):
    def act(n: int) -> int:
        """Act."""
        return n

    kernel.session.tools.add(unlisted(act, direct=True))
    try:
        turn = await kernel.turn(*["act(n=1)"] * 9, direct=True, **lower(kernel, "direct_calls=2"))
    finally:
        kernel.session.tools.remove("act")
    assert len(turn.result.calls) == 2
    assert "called tools itself 2 times" in turn.seen


async def test_a_user_is_not_asked_for_ever(kernel):
    class Deny(AutoApprove):
        asked = 0

        async def decide(self, question):
            self.asked += 1
            return Decision(choice="reject", by="user")

    loop = "for _ in range(9):\n    try:\n        destroy('x')\n    except ToolDenied:\n        pass"
    user = Deny()
    await kernel.turn(loop, direct=True, approver=user, **lower(kernel, "denials_per_tool=2"))
    assert user.asked == 2


async def test_the_model_sees_a_part_of_what_was_printed(kernel):
    programs = ["print('x' * 9_000)\nobserve('y')", "1"]
    turn = await kernel.turn(*programs, direct=True, **lower(kernel, "shown_to_model=100"))
    assert "characters left out" in turn.visible
    assert "x" * 200 not in turn.visible.partition("Message")[2].partition("OutputWritten")[0]


async def test_a_variable_that_is_too_large_does_not_go_in(kernel):
    limits = lower(kernel, "value_in_bytes=100")["limits"]
    with pytest.raises(UserError, match="larger"):
        await kernel.session.ask(
            "Go.", inputs={"x": "y" * 1_000}, settings=replace(kernel.settings, limits=limits), model=ScriptedModel([])
        )


async def test_a_table_that_is_shown_has_its_first_rows(kernel):
    program = "show([{'a': n} for n in range(9)])"
    turn = await kernel.turn(program, direct=True, **lower(kernel, "show.table_rows=3"))
    assert turn.result.error is None, turn.seen
    (shown,) = turn.result.shown
    assert (len(shown.data["rows"]), shown.data["total"]) == (3, 9)
