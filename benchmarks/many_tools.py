"""What 5, 120 and 500 tools cost in a prompt, and how often the right tool's stub is in it.

    pip download bfcl-eval --no-deps && unzip bfcl_eval-*.whl 'bfcl_eval/data/*'
    python benchmarks/many_tools.py bfcl_eval/data [--json FILE]
    OPENAI_BASE_URL=http://127.0.0.1:8080/v1 python benchmarks/many_tools.py bfcl_eval/data --model 6

The tools and questions are those of the Berkeley Function Calling Leaderboard: 200 questions of each of four kinds. A
question has the tools that it comes with, among them the right one, and others that are drawn for it. Tokens are those
of o200k_base. With --model N, the configured model answers N questions, with the stubs of all tools
in the prompt and with those that fit it best. An answer is right if the right tool was called with right arguments.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpe_openai

from codeact_kernel import Session, Settings
from codeact_kernel.limits import Limits
from codeact_kernel.memory.thread import FollowUp
from codeact_kernel.tools import Registry, Tool, ToolIndex, ToolOptions
from codeact_kernel.tools.definition import described_tool
from codeact_kernel.turn.prompt import write_first_messages
from codeact_kernel.turn.tool_offer import offer_tools
from codeact_kernel.types import ToolCall

KINDS = ("simple_python", "multiple", "live_simple", "live_multiple")
SIZES = (5, 120, 500)
QUESTIONS = 200
"""Questions of each kind."""
TYPES = {
    "dict": "object",
    "float": "number",
    "tuple": "array",
    "any": ["string", "number", "object", "array", "boolean"],
}
"""The types of these schemas that JSON schemas do not have."""
ALL_STUBS = 10_000_000
tokenizer = bpe_openai.get_encoding("o200k_base")


@dataclass(frozen=True)
class Question:
    """A question with the calls that answer it: each has a tool, and for each argument the values that are right."""

    kind: str
    ask: str
    own: Sequence[str]
    right: Sequence[tuple[str, Mapping[str, Sequence[Any]]]]


def read_schema(part: Any) -> Any:
    """Return a part of a schema with the types of JSON schemas."""
    if isinstance(part, list):
        return [read_schema(item) for item in part]
    if not isinstance(part, dict):
        return part
    read = {key: read_schema(value) for key, value in part.items()}
    return {**read, "type": TYPES.get(part["type"], part["type"])} if isinstance(part.get("type"), str) else read


def read_lines(file: Path) -> Iterator[Any]:
    return map(json.loads, file.read_text().splitlines())


def read(folder: Path) -> tuple[dict[str, Tool], list[Question]]:
    """Return all tools by their own names, and the questions."""
    tools: dict[str, Tool] = {}
    questions: list[Question] = []
    taken: set[str] = set()
    for kind in KINDS:
        answers = {
            line["id"]: line["ground_truth"] for line in read_lines(folder / f"possible_answer/BFCL_v4_{kind}.json")
        }
        for line in read_lines(folder / f"BFCL_v4_{kind}.json"):
            for schema in line["function"]:
                if (name := schema["name"]) not in tools:
                    parameters, about = read_schema(schema["parameters"]), schema["description"]
                    tools[name] = described_tool(
                        name, about, parameters, lambda **_: "done", ToolOptions(), taken=taken
                    )
                    taken.add(tools[name].spec.name)
            ask = "\n".join(message["content"] for message in line["question"][0] if message["role"] == "user")
            right = [(name, values) for call in answers[line["id"]] for name, values in call.items()]
            questions.append(Question(kind, ask, [schema["name"] for schema in line["function"]], right))
    return tools, questions


def draw(question: Question, tools: Mapping[str, Tool], size: int) -> list[Tool]:
    """Return the tools of a question, and others that are drawn for it, in any order."""
    chance = random.Random(f"{question.ask} {size}")
    others = [name for name in chance.sample(list(tools), size) if name not in question.own]
    names = [*dict.fromkeys(question.own), *others][:size]
    chance.shuffle(names)
    return [tools[name] for name in names]


def count_tokens(ask: str, drawn: Iterable[Tool], max_tokens: int) -> int:
    offer = offer_tools({tool.spec.name: tool.spec for tool in drawn}, ask, FollowUp(), max_tokens)
    messages = write_first_messages(ask, offer.shown, other_tools=offer.others)
    return sum(len(tokenizer.encode(message.content)) for message in messages)


def measure_prompts(tools: Mapping[str, Tool], questions: Sequence[Question], size: int) -> dict[str, Any]:
    """Measure the tokens of prompts, and the time in which their tools are chosen and ranked."""
    sample = questions[:: max(1, len(questions) // 40)]
    full, ours, choosing, ranking = [], [], [], []
    for question in sample:
        drawn = draw(question, tools, size)
        full.append(count_tokens(question.ask, drawn, ALL_STUBS))
        ours.append(count_tokens(question.ask, drawn, Limits().tools_tokens))
        specs = {tool.spec.name: tool.spec for tool in drawn}
        started = time.perf_counter()
        offer_tools(specs, question.ask, FollowUp(), Limits().tools_tokens)
        choosing.append(time.perf_counter() - started)
        started = time.perf_counter()
        ToolIndex([*specs.values()]).rank(question.ask)
        ranking.append(time.perf_counter() - started)
    return {
        "tools": size,
        "all stubs": round(statistics.mean(full)),
        "ours": round(statistics.mean(ours)),
        "ours at most": max(ours),
        "choosing, ms": round(1_000 * statistics.median(choosing), 1),
        "ranking, ms": round(1_000 * statistics.median(ranking), 1),
    }


def measure_recall(tools: Mapping[str, Tool], questions: Sequence[Question], size: int) -> dict[str, Any]:
    """Count the questions whose right tools have a stub in the prompt, a name in it, and are found by `find_tools`."""
    shown = named = found = 0
    for question in questions:
        drawn = draw(question, tools, size)
        offer = offer_tools(
            {tool.spec.name: tool.spec for tool in drawn}, question.ask, FollowUp(), Limits().tools_tokens
        )
        stubs = {spec.own_name for spec in offer.shown}
        first = {spec.own_name for spec in ToolIndex([tool.spec for tool in drawn]).rank(question.ask)[:8]}
        right = {name for name, _ in question.right}
        shown += right <= stubs
        named += all(name in stubs or tools[name].spec.name in offer.others for name in right)
        found += right <= first
    return {
        "tools": size,
        "kind": questions[0].kind,
        "of": len(questions),
        "stub": shown,
        "name": named,
        "first 8": found,
    }


def is_right(call: ToolCall, name: str, values: Mapping[str, Sequence[Any]]) -> bool:
    """Return whether a call has right values for all arguments. An empty text among the values means: may be left out."""
    own = call.own_name or call.name
    given = call.arguments
    return (
        own == name
        and given.keys() <= values.keys()
        and all(
            (given[key] in allowed or [given[key]] in allowed) if key in given else "" in allowed
            for key, allowed in values.items()
        )
    )


async def ask_model(
    tools: Mapping[str, Tool], questions: Sequence[Question], size: int, max_tokens: int
) -> dict[str, Any]:
    """Ask the model, and count the right answers and their cost."""
    right = called = turns = tokens = 0
    started = time.monotonic()
    for question in questions:
        registry = Registry()
        for tool in draw(question, tools, size):
            registry.add_tool(tool)
        async with Session(registry) as session:
            settings = Settings(limits=Limits(tools_tokens=max_tokens, model_seconds=900))
            result = await session.ask(question.ask, settings=settings)
        calls = [record.call for record in result.calls]
        called += all(any((call.own_name or call.name) == name for call in calls) for name, _ in question.right)
        right += all(any(is_right(call, *expected) for call in calls) for expected in question.right)
        turns += result.model_turns
        tokens += result.usage.prompt_tokens + result.usage.completion_tokens if result.usage else 0
        print(f"{question.right[0][0]}: {[call.own_name or call.name for call in calls]}", flush=True)
    seconds = round(time.monotonic() - started)
    way = "all stubs" if max_tokens == ALL_STUBS else "ours"
    return {
        "tools": size, "way": way, "of": len(questions), "right": right, "right tool": called, "model turns": turns,
        "tokens": tokens, "seconds": seconds,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="bfcl_eval/data")
    parser.add_argument("--model", type=int, default=0, metavar="N", help="let the model answer this many questions")
    parser.add_argument("--tools", type=int, default=120, help="the tools of a question to the model")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    tools, questions = read(options.folder)
    by_kind = {kind: [question for question in questions if question.kind == kind][:QUESTIONS] for kind in KINDS}
    figures: list[dict[str, Any]] = []

    def report(row: dict[str, Any]) -> None:
        figures.append(row)
        print(row, flush=True)

    if options.model:
        asked = by_kind["multiple"][:: QUESTIONS // options.model][: options.model]
        for max_tokens in (Limits().tools_tokens, ALL_STUBS):
            report(asyncio.run(ask_model(tools, asked, options.tools, max_tokens)))
    else:
        print(f"{len(tools)} tools, {len(questions)} questions")
        for size in SIZES:
            report(measure_prompts(tools, [question for kind in KINDS for question in by_kind[kind]], size))
        for size in SIZES[1:]:
            for kind in KINDS:
                report(measure_recall(tools, by_kind[kind], size))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
