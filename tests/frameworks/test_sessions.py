# pyright: basic
"""A program in the sandbox calls tools of several frameworks beside each other."""

from __future__ import annotations

import pytest

from codeact_kernel import ScriptedModel, Session, Settings

agent_framework = pytest.importorskip("agent_framework", reason="scripts/test --frameworks installs it")
langchain = pytest.importorskip("langchain_core.tools")
pydantic_ai = pytest.importorskip("pydantic_ai")


@pytest.mark.process
async def test_a_program_calls_tools_of_all_frameworks_and_approvals_hold():
    @agent_framework.tool(approval_mode="always_require")
    def pay(amount: int) -> str:
        """Pay."""
        return f"paid {amount}"

    @langchain.tool
    async def list_prices() -> dict[str, int]:
        """List prices."""
        return {"tea": 3}

    def count(product: str) -> int:
        """Count."""
        return len(product)

    program = """```python
total = list_prices()["tea"] * count(product="tea")
try:
    pay(amount=total)
except ToolDenied as error:
    answer = "denied"
[total, answer]
```"""
    async with Session(tools=[pay, list_prices, pydantic_ai.Tool(count)], model=ScriptedModel([program])) as session:
        result = await session.ask("Pay for tea.", settings=Settings(backend="embedded", max_retries=0))
    assert result.value == [9, "denied"], result.error
