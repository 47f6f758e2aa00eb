# pyright: basic
"""Turns whose prompt does not have the stubs of all tools, with the real sandbox and a scripted model."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from codeact_kernel.memory.lock_folder import LockFolder, TrustedLocks
from codeact_kernel.memory.locked_reuse import LockedReuse, PromptReport
from codeact_kernel.memory.reuse import Reuse
from codeact_kernel.model.scripted import ScriptedModel
from codeact_kernel.session import Session
from codeact_kernel.settings import Limits, Settings
from codeact_kernel.tools import Registry, ToolOptions
from codeact_kernel.tools.definition import described_tool
from codeact_kernel.types import TurnResult

from .warm import WarmPool

pytestmark = pytest.mark.asyncio(loop_scope="module")

FEW = Settings(limits=Limits(tools_tokens=200))
FIND = 'observe(find_tools("refund an order"))'
SCHEMA = {
    "type": "object",
    "properties": {"order": {"type": "integer", "description": "Its number."}, "reason": {"type": "string"}},
    "required": ["order"],
}


def shop() -> Registry:
    registry = Registry()
    for i in range(40):
        about = f"Read the figure {i} of the warehouse."
        registry.add_tool(described_tool(f"figure_{i}", about, {"type": "object"}, lambda: 1, ToolOptions()))

    def refund_order(order: int, reason: str = "") -> str:
        return f"order {order} refunded"

    registry.add_tool(described_tool("refund-order", "Pay an order back.", SCHEMA, refund_order, ToolOptions()))
    wire = ToolOptions(direct=True)
    registry.add_tool(described_tool("wire", "Refund an order by wire.", {"type": "object"}, lambda: 1, wire))
    return registry


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def warm() -> AsyncIterator[WarmPool]:
    warm = WarmPool()
    yield warm
    await warm.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def session(warm: WarmPool) -> AsyncIterator[Session]:
    async with warm.session(shop()) as session:
        yield session


def written(*programs: str) -> ScriptedModel:
    return ScriptedModel([f"```python\n{program}\n```" for program in programs])


async def ask(session: Session, *programs: str, **options) -> tuple[TurnResult, list[str]]:
    """Ask about figures, so that the prompt has no stub of the tool for orders. Return the result and what was sent."""
    model = written(*programs)
    result = await session.ask("All figures.", model=model, **{"settings": FEW, "new": True, **options})
    return result, [messages[-1].content for messages in model.asked]


async def test_a_tool_without_a_stub_can_be_called(session):
    result, (prompt,) = await ask(session, "refund_order(7)")
    assert (result.value, result.model_turns) == ("order 7 refunded", 1)
    assert "refund_order(" not in prompt


async def test_a_program_shows_the_stubs_that_it_finds_to_the_model(session):
    result, (_, found) = await ask(session, FIND, "refund_order(order=7)")
    assert result.value == "order 7 refunded"
    assert "\nrefund_order(order: int, reason: str = None)  # Pay an order back.\n    order: Its number.\n" in found


async def test_a_program_that_only_ends_with_find_tools_shows_them_as_well(session):
    result, (_, found) = await ask(session, 'find_tools("refund an order")', "refund_order(order=7)")
    assert result.value == "order 7 refunded"
    assert "refund_order(order: int" in found


async def test_a_program_that_finds_tools_need_not_assign_the_outputs_yet(session):
    result, _ = await ask(session, 'find_tools("refund")', "paid = refund_order(7)", outputs=["paid"])
    assert result.outputs == {"paid": "order 7 refunded"}


async def test_direct_tools_are_not_found_because_no_program_can_call_them(session):
    _, (prompt, found) = await ask(session, FIND, "1")
    assert "\nwire()" in prompt
    assert "wire(" not in found


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("'xyz'", "No tool has any of the words `xyz`: try other words."),
        ("['refund']", "find_tools takes words as one"),
    ],
)
async def test_words_that_find_nothing_get_a_sentence(session, query, says):
    program = f"try:\n    text = find_tools({query})\nexcept ToolFailed as error:\n    text = str(error)\n[text]"
    result, _ = await ask(session, program)
    assert says in result.value[0]


async def test_what_a_program_finds_is_bounded(session):
    result, _ = await ask(session, 'len(find_tools("figure of the warehouse " * 9_999))')
    assert 0 < result.value <= 6_000


async def test_a_rejected_program_gets_the_stubs_that_the_prompt_did_not_have(session):
    result, (_, rejection) = await ask(session, "refund_order(number=7)", "refund_order(order=7)")
    assert result.value == "order 7 refunded"
    assert "refund_order(order: int, reason: str = None)  # Pay an order back." in rejection


async def test_a_rejected_program_does_not_get_the_stubs_again_that_the_prompt_had(session):
    _, (_, rejection) = await ask(session, "refund_order(number=7)", "refund_order(7)", settings=Settings())
    assert "Pay an order back." not in rejection


async def test_a_program_that_failed_gets_the_stubs_that_the_prompt_did_not_have(session):
    result, (_, failure) = await ask(session, "refund_order(order='7')", "refund_order(order=7)")
    assert result.value == "order 7 refunded"
    assert "refund_order(order: int, reason: str = None)  # Pay an order back." in failure


async def test_a_follow_up_has_the_stub_of_the_tool_that_was_used(session):
    model = written("refund_order(7)", "refund_order(8)")
    for text in ("The seventh.", "And the eighth."):
        await session.ask(text, model=model, settings=FEW)
    assert ["refund_order(order: int" in messages[-1].content for messages in model.asked] == [False, True]


async def test_recorded_programs_find_tools_again(warm, tmp_path):
    folder, reports = LockFolder(tmp_path, TrustedLocks(trusts_all=True)), list[PromptReport]()
    async with warm.session(shop(), reuse=Reuse(folder)) as session:
        await ask(session, FIND, "refund_order(7)")
    async with warm.session(shop(), reuse=LockedReuse(folder, replays=True, report=reports.append)) as session:
        result, prompts = await ask(session)
    assert (result.value, prompts) == ("order 7 refunded", [])
    assert [report.state for report in reports] == ["ok"]
