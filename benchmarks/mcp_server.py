"""One agent of Microsoft Agent Framework, with its own `execute_code` and with that of our MCP server: tokens, seconds.

    python -m venv build/reference
    build/reference/bin/pip install --pre agent-framework-core agent-framework-openai agent-framework-hyperlight \
        wasmtime==50.0.1 bpe-openai 'mcp>=2.3,<3'
    build/reference/bin/python benchmarks/mcp_server.py --server .venv/bin/python [--rounds 7] [--users 8] [--micro-vm]

The task, the tools and the model are those of `benchmarks/headline`: the model is its oracle, which replays one program
and counts tokens, so nothing here says how well a model reads either description. Both arms run in turn, each with a warm
sandbox; the oracle does not wait, so the seconds are those of the agent, the sandbox and the protocol. Without micro-VMs
the guest of Agent Framework runs in wasmtime (headline's stand-in), and ours as WebAssembly; with --micro-vm both are
real ones. The exit status is 1 when an answer was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

sys.path.append(str(Path(__file__).parent / "headline"))

from agent_framework import Agent, MCPStdioTool
from agent_framework_hyperlight import HyperlightCodeActProvider
from agent_framework_openai import OpenAIChatCompletionClient
from oracle import Oracle, Pace
from reference import INSTRUCTIONS, Answer
from workload import TASK, Tools, fault, world

HEADLINE = Path(__file__).parent / "headline"
SERVED = """
import sys
sys.path.append({headline!r})
from workload import Tools, world
tools = Tools(world({users}))
list_users, get_orders_for_user, get_discount_rate, get_tax_rate, compute_line_total = tools.functions("async")
"""
NAMES = "list_users,get_orders_for_user,get_discount_rate,get_tax_rate,compute_line_total"


async def measure(agent: Agent, oracle: Oracle, users: int) -> tuple[float, int, int, int, str]:
    """Run the task once. Return the seconds, tokens read, tokens written, turns, and what is wrong with the answer."""
    oracle.begin("naive", Pace(0, 0))
    start = time.perf_counter()
    result = await agent.run(TASK)
    seconds = time.perf_counter() - start
    rows = [row.model_dump() for row in result.value.results] if result.value else result.text
    counted = oracle.counted
    return seconds, counted.prompt, counted.completion, counted.turns, fault(rows, world(users))


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True, help="a Python that has codeact-kernel[mcp]")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--micro-vm", action="store_true", help="real micro-VMs, ours and the reference's")
    options = parser.parse_args()
    if not options.micro_vm:
        import hyperlight_sandbox
        from stand_in import StandIn

        hyperlight_sandbox.Sandbox = StandIn  # type: ignore[misc, assignment]
    oracle = Oracle()
    client = OpenAIChatCompletionClient("oracle", base_url=oracle.url, api_key="none")
    served = Path(__file__).parents[1] / "build" / "served_tools.py"
    served.parent.mkdir(exist_ok=True)
    served.write_text(SERVED.format(headline=str(HEADLINE), users=options.users))
    backend = "hyperlight" if options.micro_vm else "embedded"
    arguments = ["-P", "-m", "codeact_kernel", "mcp", "--tools", f"{served}:{NAMES}", "--backend", backend]
    tools = Tools(world(options.users))
    settings = {"response_format": Answer, "temperature": 0}
    results: dict[str, list[tuple[float, int, int, int, str]]] = {"its own execute_code": [], "our MCP server": []}
    async with AsyncExitStack() as stack:
        server = MCPStdioTool(
            "codeact", command=options.server, args=arguments, env={**os.environ, "CODEACT_GUEST": "standard"}
        )
        provider = HyperlightCodeActProvider(tools=tools.functions("async"), approval_mode="never_require")
        agents = {
            "its own execute_code": Agent(client, INSTRUCTIONS, default_options=settings, context_providers=[provider]),
            "our MCP server": Agent(client, INSTRUCTIONS, default_options=settings, tools=[server]),
        }
        for agent in agents.values():
            await stack.enter_async_context(agent)
            await measure(agent, oracle, options.users)  # starts its sandbox
        for _ in range(options.rounds):
            for name, agent in agents.items():
                results[name].append(await measure(agent, oracle, options.users))
    print(
        f"{options.users} users, {options.rounds} rounds, medians\n{'':24}{'ms':>8}{'read':>8}{'written':>9}{'turns':>7}"
    )
    wrong = []
    for name, runs in results.items():
        seconds, read, written, turns = (median(run[place] for run in runs) for place in range(4))
        print(f"{name:24}{1000 * seconds:8.0f}{read:8,.0f}{written:9,.0f}{turns:7.0f}")
        wrong += [f"WRONG: {name}: {run[4]}" for run in runs if run[4]]
    print(*wrong or ["Every answer was right."], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
