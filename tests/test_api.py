"""The engine without a notebook: `codeact_kernel.Session` in a script."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import codeact_kernel
from codeact_kernel import AutoApprove, Decision, ScriptedModel, Session, Settings, ToolDefinitionError, tool
from codeact_kernel.tools import default_registry

from .notebook.conftest import bare_environment

EMBEDDED = Settings(backend="embedded", max_retries=0)


def test_every_public_name_is_there_and_comes_from_where_the_types_say():
    for name in codeact_kernel.__all__:
        assert getattr(codeact_kernel, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        codeact_kernel.nonsense  # noqa: B018
    assert dir(codeact_kernel) == codeact_kernel.__all__


async def test_plain_functions_and_tools_are_offered_by_handing_them_over():
    before = set(default_registry)

    def double(n: int) -> int:
        """Twice n."""
        return 2 * n

    async with Session(tools=[double], model=ScriptedModel(["```python\ndouble(n=21)\n```"])) as session:
        result = await session.ask("What is twice 21?", settings=EMBEDDED)
    assert (result.value, result.error) == (42, None)
    assert set(default_registry) == before, "handing a function over offers it to nobody else"


async def test_a_function_that_can_be_no_tool_is_refused_at_once():
    with pytest.raises(ToolDefinitionError, match="lambda"):
        Session(tools=[lambda: 1])


@pytest.mark.parametrize("allowed", [True, False])
async def test_an_approver_of_ones_own_decides_each_call(allowed):
    asked = []

    def pay(amount: int) -> str:
        """Pays."""
        return f"paid {amount}"

    class Mine(AutoApprove):
        async def decide(self, question):
            asked.append((question.call.name, dict(question.call.arguments)))
            if allowed:
                return Decision(choice="allow_once", by="policy")
            return Decision(choice="reject", by="policy", reason="too much")

    model = ScriptedModel(["```python\npay(amount=5)\n```"])
    tools = [tool(approval_mode="always_require")(pay)]
    try:
        async with Session(tools=tools, model=model) as session:
            result = await session.ask("Pay 5.", settings=EMBEDDED, approver=Mine())
    finally:
        default_registry.remove("pay")
    assert asked == [("pay", {"amount": 5})]
    assert (result.value == "paid 5") is allowed
    if not allowed:
        assert result.error.kind == "ToolDenied"
        assert "too much" in result.error.message


async def test_a_models_name_is_asked_at_the_endpoint_of_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    monkeypatch.delenv("AZURE_OPENAI_ENDPOINT", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    asked: list[Settings] = []

    class Watched(Session):
        async def choose(self, settings):
            asked.append(settings)
            return ScriptedModel(["```python\n1\n```"])

    async with Watched(tools=[], model="some-model") as session:
        await session.ask("One?", settings=EMBEDDED)
    assert asked[0].model == "some-model"


async def test_one_session_takes_several_asks_at_once_each_in_a_sandbox_of_its_own():
    def answer(messages):
        return f"```python\nx = {messages[-1].content.split()[-1]}\nx * 2\n```"

    async with Session(tools=[], model=ScriptedModel([answer] * 3)) as session:
        asks = [session.ask(f"Twice {n}", settings=EMBEDDED) for n in (1, 2, 3)]
        assert [result.value for result in await asyncio.gather(*asks)] == [2, 4, 6]


async def test_asks_with_other_settings_at_once_do_not_end_each_other():
    slow = replace(EMBEDDED, limits=replace(EMBEDDED.limits, memory_bytes=128 << 20))
    program = "```python\nsum(range(3_000_000))\n```"
    async with Session(tools=[], model=ScriptedModel([program] * 4)) as session:
        asks = [session.ask("Sum.", settings=settings) for settings in (EMBEDDED, slow, EMBEDDED, slow)]
        assert [result.error for result in await asyncio.gather(*asks)] == [None] * 4


async def test_a_turn_that_still_looks_for_its_model_keeps_its_sandboxes_when_another_has_other_settings():
    class Looking(Session):
        async def choose(self, settings):
            await asyncio.sleep(0.05 if settings is EMBEDDED else 0)  # as one that asks an endpoint what it offers
            return ScriptedModel(["```python\n6 * 7\n```"])

    other = replace(EMBEDDED, limits=replace(EMBEDDED.limits, memory_bytes=128 << 20))
    async with Looking(tools=[]) as session:
        asks = [session.ask("?", settings=settings) for settings in (EMBEDDED, other, EMBEDDED, other)]
        assert [result.value for result in await asyncio.gather(*asks)] == [42] * 4


async def test_a_turn_that_is_cancelled_ends_at_once_and_the_session_goes_on():
    async with Session(
        tools=[], model=ScriptedModel(["```python\nwhile True: pass\n```", "```python\n1\n```"])
    ) as session:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await session.ask("Loop.", settings=EMBEDDED)
        assert (await session.ask("One.", settings=EMBEDDED)).value == 1


def test_the_example_is_a_script_that_runs(tmp_path):
    file = Path(__file__).parents[1] / "examples" / "script.py"
    done = subprocess.run(
        [sys.executable, str(file)], cwd=tmp_path, env=bare_environment(tmp_path), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines() if "Charlie" in line] == [["Charlie", "39.98"]]
    assert "4 calls, 1 model turn, in: WebAssembly" in done.stdout


def test_a_script_that_imports_the_package_pays_for_nothing_it_does_not_use():
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import sys, codeact_kernel, codeact; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert not {"pydantic", "openai", "IPython", "asyncio", "codeact_kernel.tools"} & set(done.stdout.split())
