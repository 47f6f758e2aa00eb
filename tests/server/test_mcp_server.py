"""The MCP server, driven by the official client over stdio, with the real sandbox and in both forms of the protocol."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
import pytest_asyncio
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHOP = '''
import asyncio, os, sqlite3
from codeact_kernel import tool

print("the import prints")
database = sqlite3.connect(":memory:")  # may be used only by the thread that made it


@tool
def double(number: int) -> int:
    """Twice the number."""
    return 2 * number

@tool
def noisy() -> str:
    """Print in every way."""
    print("printed")
    os.write(1, b"written\\n")
    os.system("echo by a child")
    return "said"

@tool
def read_line() -> str:
    """Read from the terminal."""
    return input()

@tool
def ask_database() -> int:
    """Use a connection that is bound to its thread."""
    return database.execute("select 7").fetchone()[0]

@tool(approval_mode="always_require")
def pay(to: str, amount: float) -> str:
    """Pay somebody."""
    return f"paid {amount} to {to}"

@tool
async def hang() -> None:
    """Wait for ever."""
    await asyncio.Event().wait()

def unmarked() -> int:
    """Not offered."""
    return 1
'''

Ask = Callable[[types.ElicitRequestFormParams], types.ElicitResult]


def accept(**content: Any) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content=content)


class User:
    """The user of the client, who answers forms."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.forms: list[dict[str, Any]] = []
        self.answer: Ask = lambda form: types.ElicitResult(action="cancel")

    async def __call__(self, context: Any, form: Any) -> types.ElicitResult:
        self.asked.append(form.message)
        self.forms.append(form.requested_schema)
        return self.answer(form)


@asynccontextmanager
async def connect(
    folder: Path,
    user: User | None,
    mode: str,
    *arguments: str,
    sources: tuple[str, ...] = ("shop",),
    environment: dict[str, str] | None = None,
) -> AsyncGenerator[Client]:
    command = [*(word for source in sources for word in ("--tools", source)), *arguments]
    server = StdioServerParameters(
        command=sys.executable,
        args=["-P", "-m", "codeact_kernel", "mcp", *command],
        cwd=folder,
        env={"CODEACT_GUEST": "standard", **(environment or {})},
    )
    async with Client(stdio_client(server), mode=mode, elicitation_callback=user) as client:  # type: ignore[arg-type]
        yield client


async def in_own_task(
    make: Callable[[], Any], use: Callable[[Any], Awaitable[None]]
) -> None:  # a client has to be closed by the task that opened it
    async with make() as client:
        await use(client)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "shop.py").write_text(SHOP)
    return folder


@pytest.fixture(scope="module")
def user() -> User:
    return User()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["legacy", "auto"])
async def client(request: pytest.FixtureRequest, folder: Path, user: User) -> AsyncIterator[Client]:
    opened: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
    is_over = asyncio.Event()

    async def use(client: Client) -> None:
        opened.set_result(client)
        await is_over.wait()

    task = asyncio.create_task(in_own_task(lambda: connect(folder, user, request.param), use))
    await asyncio.wait([opened, task], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    yield opened.result()
    is_over.set()
    await task


async def run(client: Client, program: str, **options: Any) -> types.CallToolResult:
    result = await client.call_tool("execute_code", {"code": program}, **options)
    assert isinstance(result, types.CallToolResult)
    return result


def text_of(result: types.CallToolResult) -> str:
    first = result.content[0]
    assert isinstance(first, types.TextContent)
    return first.text


async def test_it_offers_two_tools_and_says_how_to_write_programs(client: Client) -> None:
    execute_code, describe_tools = (await client.list_tools()).tools
    assert (execute_code.name, describe_tools.name) == ("execute_code", "describe_tools")
    assert execute_code.description is not None
    assert "End with an expression" in execute_code.description and "observe" not in execute_code.description
    assert "double(number: int) -> int  # Twice the number." in execute_code.description
    assert "unmarked" not in execute_code.description


async def test_a_program_answers_with_structure_and_with_text(client: Client) -> None:
    result = await run(client, "print('working')\n[double(number=n) for n in range(3)]")
    assert not result.is_error
    assert result.structured_content["value"] == [0, 2, 4]
    assert result.structured_content["output"] == "working\n"
    assert result.structured_content["calls_made"] == 3
    assert text_of(result) == "[0, 2, 4]\n\nPrinted:\nworking\n"


async def test_an_agent_reads_about_calls_only_what_it_needs_and_the_client_gets_them_all(client: Client) -> None:
    works = await run(client, "try:\n    double(number='x')\nexcept ToolFailed:\n    pass\ndouble(number=2)")
    (failed,) = works.structured_content["calls"]
    assert failed["arguments"] == {"number": "x"} and failed["outcome"].startswith("failed: ")
    assert works.meta is not None
    second = {"tool": "double", "arguments": {"number": 2}, "outcome": "returned a result"}
    assert works.meta["codeact-kernel/calls"] == [failed, second]
    fails = await run(client, "double(number=2)\n1 / 0")
    assert fails.structured_content["calls"] == [second]


async def test_the_tools_can_be_looked_up_by_name_and_by_words(client: Client) -> None:
    by_name = await client.call_tool("describe_tools", {"names": ["pay"]})
    by_words = await client.call_tool("describe_tools", {"query": "twice"})
    assert text_of(by_name) == "Tools:\npay(to: str, amount: float) -> str  # Pay somebody.\n"
    assert text_of(by_words) == "Tools:\ndouble(number: int) -> int  # Twice the number.\n"


async def test_a_failure_is_an_error_with_advice(client: Client) -> None:
    result = await run(client, "double(number=1)\n{}['a']")
    assert result.is_error and result.structured_content["error"]["kind"] == "KeyError"
    assert "KeyError" in text_of(result) and "double with number 1 returned a result" in text_of(result)


async def test_arguments_that_are_not_a_program_are_an_error(client: Client) -> None:
    result = await client.call_tool("execute_code", {"code": 1})
    assert isinstance(result, types.CallToolResult) and result.is_error
    assert "takes code, the text of a Python program" in text_of(result)


async def test_a_program_that_is_too_long_is_an_error(client: Client) -> None:
    result = await run(client, "x" * 70_000)
    assert result.is_error and "longer than 65,536 bytes" in text_of(result)


async def test_the_user_can_allow_a_call(client: Client, user: User) -> None:
    user.asked.clear()
    user.answer = lambda form: accept(decision="allow_once")
    result = await run(client, "pay(to='Bob', amount=5.0)")
    assert result.structured_content["value"] == "paid 5.0 to Bob"
    assert user.asked == ['A program wants to call pay with:\n    to = "Bob"\n    amount = 5.0\nPay somebody.']


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (types.ElicitResult(action="decline"), "the user denied pay"),
        (types.ElicitResult(action="cancel"), "the user closed the question about pay"),
        (types.ElicitResult(action="decline", content={"decision": "allow_once"}), "the user denied pay"),
        (accept(decision="deny", reason="too much"), "too much"),
        (accept(decision="Allow once"), "the user denied pay"),
        (accept(decision=True), "the user denied pay"),
        (accept(), "the user denied pay"),
    ],
)
async def test_any_other_answer_denies_the_call(
    client: Client, user: User, answer: types.ElicitResult, reason: str
) -> None:
    user.answer = lambda form: answer
    result = await run(
        client, "try:\n    pay(to='Bob', amount=5.0)\nexcept ToolDenied as error:\n    said = str(error)\nsaid"
    )
    assert result.structured_content["value"] == reason


async def test_each_call_is_asked_about_on_its_own(client: Client, user: User) -> None:
    user.asked.clear()
    user.answer = lambda form: accept(decision="allow_once" if "5.0" in form.message else "deny")
    program = "def try_to(amount):\n    try:\n        return pay(to='Bob', amount=amount)\n    except ToolDenied:\n        return 'denied'\n[try_to(5.0), try_to(6.0), try_to(5.0)]"
    result = await run(client, program)
    assert result.structured_content["value"] == ["paid 5.0 to Bob", "denied", "paid 5.0 to Bob"]
    assert len(user.asked) == 3


async def test_calls_that_wait_at_once_are_all_asked_about(client: Client, user: User) -> None:
    user.asked.clear()
    user.answer = lambda form: accept(decision="allow_once")
    program = "import asyncio\nawait asyncio.gather(*(call_tool_async('pay', to=name, amount=1.0) for name in 'abc'))"
    result = await run(client, program)
    assert result.structured_content["value"] == [f"paid 1.0 to {name}" for name in "abc"]
    assert len(user.asked) == 3


async def test_a_form_shows_hidden_characters_as_escapes(client: Client, user: User) -> None:
    user.asked.clear()
    user.answer = lambda form: types.ElicitResult(action="decline")
    await run(client, "pay(to='Bob\\u202e\\u200b\\nto = \"Eve\"', amount=1.0)")
    assert r'to = "Bob\u202e\u200b\nto = \"Eve\""' in user.asked[0]


async def test_a_call_that_is_too_long_to_be_shown_is_denied_unasked(client: Client, user: User) -> None:
    user.asked.clear()
    result = await run(client, "pay(to='B' * 10_000, amount=1.0)")
    assert result.is_error and "too long to be shown" in text_of(result) and not user.asked


async def test_a_tool_that_prints_does_not_disturb_the_protocol(client: Client) -> None:
    assert (await run(client, "noisy()")).structured_content["value"] == "said"


async def test_a_tool_cannot_read_the_messages_of_the_client(client: Client) -> None:
    result = await run(client, "read_line()")
    assert result.is_error and "EOF" in text_of(result)


async def test_tools_run_on_the_thread_that_imported_them(client: Client) -> None:
    assert (await run(client, "ask_database()")).structured_content["value"] == 7


async def test_a_large_result_is_cut_and_says_so(client: Client) -> None:
    result = await run(client, "['x' * 1_000] * 2_000")
    assert len(json.dumps(result.structured_content)) < 30_000 and len(text_of(result)) < 30_000
    assert "only its beginning is here" in text_of(result)


async def test_much_output_is_cut(client: Client) -> None:
    result = await run(client, "print('y' * 500_000)")
    assert len(text_of(result)) < 10_000 and "characters left out" in text_of(result)


async def test_two_calls_at_once_run_one_after_another(client: Client) -> None:
    first, second = await asyncio.gather(run(client, "double(number=1)"), run(client, "double(number=2)"))
    assert (first.structured_content["value"], second.structured_content["value"]) == (2, 4)


async def test_finished_calls_are_reported_as_progress(client: Client) -> None:
    reports: list[tuple[float, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        reports.append((progress, message))

    await run(client, "double(number=1)", progress_callback=note)
    await run(client, "1")  # a report can come after its result
    assert reports == [(1, "double was called")]


async def test_a_chart_is_also_a_picture(client: Client) -> None:
    result = await run(client, "show([{'city': 'Rome', 'temp': 20}], chart='bar', x='city', y='temp')")
    picture = result.content[1]
    assert isinstance(picture, types.ImageContent) and picture.mime_type == "image/png"
    assert picture.data.startswith("iVBOR")


async def test_a_file_is_saved_and_named(client: Client, folder: Path) -> None:
    result = await run(client, "open('/output/a.txt', 'w').write('hello')")
    (file,) = result.structured_content["files"]
    assert Path(file["path"]).read_text() == "hello" and Path(file["path"]).is_relative_to(folder)


async def test_cancelling_a_request_stops_its_program(client: Client) -> None:
    has_begun = asyncio.Event()

    async def note(progress: float, total: float | None, message: str | None) -> None:
        has_begun.set()

    request = asyncio.create_task(run(client, "double(number=1)\nhang()", progress_callback=note))
    await has_begun.wait()
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    async with asyncio.timeout(60):  # it would wait for as long as the other runs
        assert (await run(client, "double(number=4)")).structured_content["value"] == 8


async def test_a_state_that_the_server_did_not_give_is_refused(client: Client) -> None:
    if client.protocol_version != "2026-07-28":
        pytest.skip("only the newer protocol has request states")
    result = await client.session.call_tool("execute_code", {"code": "1"}, request_state="made up")
    assert result.is_error and "does not wait any more" in text_of(result)


async def test_without_a_user_to_ask_a_call_is_denied_with_advice(folder: Path) -> None:
    async with connect(folder, None, "auto") as client:
        result = await run(client, "pay(to='Bob', amount=1.0)")
    assert result.is_error and "start the server with --allow pay" in text_of(result)


async def test_a_tool_can_be_allowed_beforehand(folder: Path) -> None:
    async with connect(folder, None, "legacy", "--allow", "pay", sources=("shop.py:pay,unmarked",)) as client:
        result = await run(client, "[pay(to='Bob', amount=1.0), unmarked()]")
    assert result.structured_content["value"] == ["paid 1.0 to Bob", 1]


async def test_options_of_programs_hold(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    async with connect(folder, None, "auto", "--mount", f"{tmp_path}:/docs", "--timeout", "0.5", sources=()) as client:
        (execute_code, _) = (await client.list_tools()).tools
        assert execute_code.description is not None and '/input/docs/ (read only): "a.txt"' in execute_code.description
        assert (await run(client, "open('/input/docs/a.txt').read()")).structured_content["value"] == "hello"
        assert (await run(client, "while True: pass")).structured_content["error"]["kind"] == "TimedOut"


async def test_many_tools_are_left_to_the_lookup(tmp_path: Path) -> None:
    tools = "\n".join(f'def tool_{n}(text: str) -> str:\n    """{"Words. " * 20}"""\n' for n in range(30))
    (tmp_path / "many.py").write_text(tools)
    names = ",".join(f"tool_{n}" for n in range(30))
    async with connect(tmp_path, None, "auto", sources=(f"many:{names}",)) as client:
        description = (await client.list_tools()).tools[0].description
    assert description is not None and len(description) < 2_048
    assert "which describe_tools describes: tool_0, tool_1" in description


async def test_stdout_has_nothing_but_messages_until_the_process_ends(folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "codeact_kernel", "mcp", "--tools", "shop"),
        cwd=folder,
        env={"CODEACT_GUEST": "standard"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
    messages = [
        {"id": 1, "method": "initialize", "params": client},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "execute_code", "arguments": {"code": "noisy()"}}},
    ]
    for message in messages:
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    lines = [json.loads(await process.stdout.readline()) for _ in range(2)]
    assert [line["id"] for line in lines] == [1, 2] and lines[1]["result"]["structuredContent"]["value"] == "said"
    process.stdin.close()
    rest, printed = await process.communicate()
    assert rest == b"" and process.returncode == 0
    assert {b"the import prints", b"printed", b"written", b"by a child"} <= set(printed.split(b"\n"))


async def test_nothing_of_ours_is_imported_from_the_working_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import helper\n" + SHOP)
    (tmp_path / "helper.py").write_text("")  # what the user's module imports is found
    for name in ("mcp", "mcp_types", "anyio", "vl_convert", "wasmtime", "numpy", "secrets", "queue"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'was imported')!r}, 'w').close()")
    async with connect(tmp_path, None, "auto") as client:
        await run(client, "show([{'city': 'Rome', 'temp': 20}], chart='bar', x='city', y='temp')\ndouble(number=1)")
    assert not (tmp_path / "was imported").exists()


async def test_programs_can_call_the_tools_of_other_servers(folder: Path) -> None:
    other = Path(__file__).parents[1] / "sources" / "shop.py"
    servers = json.dumps({"mcpServers": {"other": {"command": sys.executable, "args": [str(other)]}}})
    async with connect(
        folder, None, "auto", "--allow", "find_product", sources=(), environment={"CODEACT_MCP": servers}
    ) as client:
        description = (await client.list_tools()).tools[0].description
        result = await run(client, "find_product(name='tea')['left'] + 1")
    assert description is not None and "find_product(name: str)" in description
    assert result.structured_content["value"] == 4
