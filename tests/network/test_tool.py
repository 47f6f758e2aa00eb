"""The tool behind the requests: what an approval of one holds for, and how large replies are fetched."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from codeact_kernel.access import AllowedDomain
from codeact_kernel.capabilities.network.capability import Network
from codeact_kernel.errors import ProgramError, UserError
from codeact_kernel.settings import Limits
from codeact_kernel.tools import ToolCallError, ToolSpec

from .conftest import Host, Server

ASKED = AllowedDomain("https://asked.example", approval_mode="always_require")
NETWORK = Network([AllowedDomain("free.example"), ASKED, AllowedDomain("asked.example:8443", None, "always_require")])


def bound(method: str, url: str, **arguments: Any) -> ToolSpec:
    made = NETWORK.tools["http_request"].bind({"method": method, "url": url, **arguments}, Limits())
    return made.tool.spec


def test_each_domain_has_its_own_approval_mode():
    assert bound("GET", "https://free.example/").approval_mode == "never_require"
    assert bound("GET", "https://asked.example/").approval_mode == "always_require"


def test_a_domain_says_whether_outsiders_write_what_it_answers():
    network = Network([AllowedDomain("free.example"), AllowedDomain("wiki.example", source="untrusted")])
    sources = [
        network.tools["http_request"].bind({"method": "GET", "url": f"https://{host}/"}, Limits()).tool.spec.source
        for host in ("free.example", "wiki.example")
    ]
    assert sources == ["trusted", "untrusted"]
    with pytest.raises(UserError, match="source must be trusted or untrusted"):
        AllowedDomain("wiki.example", source="outside")


def test_an_approval_for_longer_holds_for_the_method_and_the_host_that_were_seen():
    seen = bound("GET", "https://asked.example/a")
    assert seen.name == "http_request"
    same = [bound("GET", "https://ASKED.example:443/b?c=d"), bound("GET", "https://asked.example/", headers={"X": "1"})]
    assert [one.version for one in same] == [seen.version] * 2
    others = [
        bound("POST", "https://asked.example/a"),
        bound("HEAD", "https://asked.example/a"),
        bound("GET", "https://asked.example:8443/a"),
        bound("GET", "https://free.example/a"),
    ]
    assert len({one.version for one in [seen, *others]}) == 5


def test_an_approval_outlives_the_turn_it_was_given_in():
    again = Network([ASKED]).tools["http_request"].bind({"method": "GET", "url": "https://asked.example"}, Limits())
    assert again.tool.spec.version == bound("GET", "https://asked.example").version


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"method": "GET", "url": "https://evil.example/"}, "https://evil.example is not allowed"),
        ({"method": "GET"}, "argument url is missing"),
        ({"method": "GET", "url": 5}, "argument url should be a valid string"),
        ({"method": "GET", "url": "https://free.example", "follow": True}, "there is no argument 'follow'"),
        ({"method": "GET", "url": "https://free.example", "headers": {"Host": "x"}}, "leave it out"),
    ],
)
def test_a_request_that_cannot_be_made_is_refused_before_anybody_is_asked(arguments, said):
    with pytest.raises(ToolCallError, match=said):
        NETWORK.tools["http_request"].bind(arguments, Limits())


async def test_what_runs_is_judged_by_the_arguments_that_run(server: Server):
    # The user may have changed them: the tool that was bound for one host still asks the policy.
    network = Network([AllowedDomain(server.url)])
    first = network.tools["http_request"].bind({"method": "GET", "url": server.url}, Limits())
    changed: dict[str, Any] = {"method": "GET", "url": "http://127.0.0.1:1/"}
    with pytest.raises(ToolCallError, match="http://127.0.0.1:1 is not allowed"):
        await first.tool.function(**changed)  # type: ignore[misc]


def test_the_model_is_told_what_can_be_reached():
    assert "only https://free.example, https://asked.example, https://asked.example:8443 can be" in NETWORK.instructions
    many = Network([AllowedDomain(f"a{i}.example") for i in range(30)])
    assert "https://a7.example and others can be reached" in many.instructions
    assert "a8.example" not in many.instructions
    assert NETWORK.instructions.count("\n") == 1


async def test_a_small_body_is_in_the_answer_and_a_large_one_is_fetched_in_pieces(server: Server):
    host = Host(server.url)
    large = bytes(range(256)) * 8_000
    for path, body in {"/text": "né".encode(), "/bytes": b"\xff\x00", "/large": large}.items():
        server.replies[path] = lambda one, body=body: one.send(200, body, {})
    assert (await host.get(f"{server.url}/text"))["text"] == "né"
    assert (await host.get(f"{server.url}/bytes"))["base64"] == "/wA="
    answer = await host.get(f"{server.url}/large")
    assert (answer["size"], "text" in answer) == (len(large), False)
    got = b""
    while len(got) < len(large):
        piece = await host.network.handlers["body"]({"id": answer["kept"], "at": len(got)})
        assert isinstance(piece, str)
        assert 0 < len(piece) <= 1 << 20
        got += base64.b64decode(piece)
    assert got == large


async def test_kept_bodies_are_bounded_and_the_oldest_goes_first(server: Server):
    server.replies["/"] = lambda one: one.send(200, b"x" * 200_000, {})
    host = Host(server.url, kept_bytes=450_000)
    numbers = [(await host.get(f"{server.url}/"))["kept"] for _ in range(3)]
    body = host.network.handlers["body"]
    with pytest.raises(ProgramError, match="read each reply before you request many more"):
        await body({"id": numbers[0], "at": 0})
    assert all([await body({"id": number, "at": 0}) for number in numbers[1:]])


@pytest.mark.parametrize(
    "arguments", [{}, {"id": 1}, {"id": True, "at": 0}, {"id": 1, "at": -1}, {"id": "1", "at": 0}, {"id": 1, "at": 0.0}]
)
async def test_a_question_for_a_piece_that_is_none_is_refused(arguments):
    with pytest.raises(ProgramError, match="must be whole numbers"):
        await Network([]).handlers["body"](arguments)
