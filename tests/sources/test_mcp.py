# pyright: basic
"""The tools of an MCP server are tools like the user's own, but for what a server can only claim."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from codeact_kernel import Secret
from codeact_kernel.access import McpServer
from codeact_kernel.errors import UserError
from codeact_kernel.sources.mcp_tools import PICTURE_TYPES

from ..ports import listen_apart
from .conftest import HERE, SHOP, Servers, server
from .shop import PIXEL

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_server_offers_its_tools_with_types_and_words(shop: Servers):
    stubs = {name: spec.stub for name, spec in shop.registry.specs().items()}
    assert stubs["find_product"] == "find_product(name: str) -> dict[str, int]  # Say how many there are."
    assert stubs["place_order"] == (
        "place_order(orders: list of {product: str, quantity: int (optional)}) -> int  # Order several products."
    )


async def test_a_structured_result_a_json_text_and_a_picture_are_values(shop: Servers):
    assert await shop.call("find_product", name="tea") == {"left": 3}
    assert await shop.call("place_order", orders=[{"product": "cups", "quantity": 2}]) == 6
    assert await shop.call("report") == {"tea": 3, "cups": 3}


async def test_a_picture_is_its_bytes_which_the_card_shows(shop: Servers):
    tool = shop.registry._tools["logo"]
    assert await tool.function() == PIXEL  # type: ignore[misc]
    assert PICTURE_TYPES == ("image/png", "image/jpeg")


async def test_what_a_server_claims_counts_only_if_the_user_says_so(servers: Servers):
    for is_trusted in (False, True):
        await servers.add("shop", trust_hints=is_trusted)
        specs = servers.registry.specs()
        reads, acts = specs["find_product"], specs["place_order"]
        expected = ("never_require", True, "trusted") if is_trusted else ("always_require", False, "untrusted")
        assert (reads.approval_mode, reads.read_only, reads.source) == expected
        assert (acts.approval_mode, acts.read_only, acts.source) == ("always_require", False, "untrusted")


async def test_the_user_can_offer_only_some_tools_and_trust_their_results(servers: Servers):
    assert await servers.add("shop", tools=["report"], source="trusted") == ["report"]
    assert servers.registry.specs()["report"].source == "trusted"


async def test_resources_are_tools_that_only_read_and_prompts_are_listed(shop: Servers):
    names = set(shop.registry)
    assert {"shop_list_resources", "shop_read_resource"} <= names
    (listed,) = await shop.call("shop_list_resources")
    assert await shop.call("shop_read_resource", uri=listed["uri"]) == {"monday": "9 to 5"}
    assert shop.registry.specs()["shop_read_resource"].read_only
    assert [prompt.name for prompt in shop.client.connections["shop"].prompts] == ["greet"]


async def test_an_error_of_a_tool_is_one_sentence(shop: Servers):
    assert (await shop.call("find_product", name="gold")).startswith("shop: find-product failed: ")


async def test_a_secret_that_a_server_gets_does_not_come_back(servers: Servers):
    token = Secret(f"t0k-{secrets.token_hex(12)}", name="SHOP_TOKEN")
    await servers.add("shop", env={"SHOP_TOKEN": token})
    assert await servers.call("variable", name="SHOP_TOKEN") == "[secret SHOP_TOKEN]"
    error = await servers.call("variable", name="SHOP_TOKEN", fails=True)
    assert "[secret SHOP_TOKEN]" in error
    assert token.reveal() not in error
    assert await servers.call("variable", name="PATH") == os.environ["PATH"]


async def test_wrong_arguments_are_refused_before_the_server_sees_them(shop: Servers):
    assert "argument name should be a valid string" in await shop.call("find_product", name=3)


async def test_progress_of_the_server_is_progress_of_the_call(shop: Servers):
    assert await shop.call("count", steps=3) == "counted"
    assert (3.0, 3.0, "step 3") in shop.progress


@pytest.mark.parametrize(("answer", "said"), [({"gift": True, "note": "x"}, "accept"), (None, "decline")])
async def test_a_question_of_the_server_goes_to_the_user(shop: Servers, answer, said):
    shop.answer, shop.asked = answer, []
    assert (await shop.call("wrap")).startswith(said)
    assert shop.asked == [("shop", "How shall I wrap it?")]


async def test_a_server_that_ends_is_the_error_of_that_call_and_starts_again_for_the_next(servers: Servers):
    await servers.add("shop")
    assert (await servers.call("end")).startswith("The MCP server 'shop' failed: it ended, or closed the connection.")
    assert servers.client.connections["shop"].state == "failed"
    assert await servers.call("find_product", name="tea") == {"left": 3}
    assert servers.client.connections["shop"].state == "running"


async def test_a_call_that_hangs_can_be_cancelled_and_the_server_goes_on_or_is_restarted(servers: Servers):
    await servers.add("shop")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await servers.call("hang")
    await servers.client.add(server("shop"))
    assert await servers.call("find_product", name="tea") == {"left": 3}


async def test_a_server_gets_no_environment_of_the_kernel_and_does_not_run_in_its_folder(
    servers, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    monkeypatch.setenv("MY_TOKEN", "secret")
    (tmp_path / "mcp.py").write_text("raise SystemExit('a planted module ran')")
    await servers.add("shop", env={"TOKEN": "${MY_TOKEN}"})
    names = await servers.call("environment")
    assert "OPENAI_API_KEY" not in names
    assert "TOKEN" in names
    assert await servers.call("folder") == str(Path.home())


@contextmanager
def run_http(program: str, *arguments: str) -> Iterator[int]:
    """Run a server on a port, and yield the port."""
    with listen_apart() as listening:
        port = listening.getsockname()[1]
    command = [sys.executable, str(HERE / program), *arguments, str(port)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert any("running on" in line for line in process.stderr)
        yield port
    finally:
        process.kill()
        process.communicate()


async def test_a_server_over_http_works_like_one_that_is_started_and_its_end_is_an_error(servers: Servers):
    with run_http("shop.py", "--http") as port:
        await servers.client.add(McpServer(name="shop", url=f"http://127.0.0.1:{port}/mcp"))
        assert await servers.call("find_product", name="tea") == {"left": 3}
    assert "The MCP server 'shop' failed" in await servers.call("find_product", name="tea")


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"command": "no-such-program"}, "does not start: 'no-such-program': No such file or directory. Install the"),
        ({"command": sys.executable, "arguments": ["-c", "import sys; sys.exit('no key')"]}, "It wrote: no key"),
        ({"command": "x", "env": {"A": "${NOT_SET}"}}, "needs the environment variable NOT_SET, which is not set"),
        ({"url": "http://127.0.0.1:9/mcp"}, "The MCP server 'mine' failed: "),
    ],
)
async def test_a_server_that_does_not_start_is_one_sentence(servers: Servers, given, fault):
    with pytest.raises(UserError) as caught:
        await servers.client.add(McpServer(name="mine", **given))
    assert fault in str(caught.value)
    assert servers.client.connections["mine"].state == "failed"


async def test_servers_that_are_configured_start_together_and_a_failure_is_told_once(servers: Servers):
    configured = [server("shop"), McpServer(name="bad", command="no-such-program")]
    (sentence,) = await servers.client.add_all(configured)
    assert sentence.startswith("The MCP server 'bad' does not start")
    assert await servers.client.add_all(configured) == []
    assert await servers.call("find_product", name="tea") == {"left": 3}


async def test_a_server_that_is_removed_takes_its_tools_along(servers: Servers):
    await servers.add("shop")
    await servers.client.remove("shop")
    assert len(servers.registry) == 0


async def test_two_servers_with_the_same_tools_get_two_names(servers: Servers):
    await servers.add("shop")
    await servers.client.add(McpServer(name="second", command=sys.executable, arguments=SHOP))
    assert {"find_product", "second_find_product"} <= set(servers.registry)


async def test_the_user_signs_in_with_a_browser_once(servers: Servers, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with run_http("guarded_shop.py") as port:
        guarded = McpServer(name="guarded", url=f"http://127.0.0.1:{port}/mcp")
        with pytest.raises(UserError, match="wants you to sign in: run %codeact mcp restart guarded"):
            await servers.client.add(guarded)
        pages: list[str] = []

        def open_page(url: str) -> None:
            pages.append(url)
            asyncio.get_running_loop().run_in_executor(None, lambda: urllib.request.urlopen(url).read())

        await servers.client.add(guarded, open_page)
        assert await servers.call("greet") == "hello"
        assert pages[0].startswith(f"http://127.0.0.1:{port}/authorize?")
        await servers.client.remove("guarded")
        await servers.client.add(guarded)
        assert await servers.call("greet") == "hello"
        (file,) = tmp_path.rglob("*.json")
        assert file.stat().st_mode & 0o777 == 0o600
