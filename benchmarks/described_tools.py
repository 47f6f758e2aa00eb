"""How many tools of other people's collections are offered as they are, and whether their calls do the same.

    python -m benchmarks.described_tools --bfcl FOLDER --tau FOLDER

`--bfcl` is the folder `bfcl_eval/data` of the package bfcl-eval (pip download bfcl-eval --no-deps, and unzip it): every
schema of its questions is offered with `tool_from_schema`. `--tau` is a checkout of tau-bench: all tools of its two
environments are offered, once by their schemas and once by their methods, and the actions of 20 tasks each run as
programs; the databases have to be equal afterwards. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import importlib
import json
import sys
import types
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from codeact_kernel import Registry, ScriptedModel, Session, tool, tool_from_schema
from codeact_kernel.tools import default_registry

TASKS = 20


def main() -> None:
    """Run what the arguments name, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bfcl", type=Path)
    parser.add_argument("--tau", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # about names that get a prefix
    counts: dict[str, object] = {}
    if options.bfcl:
        counts["bfcl"] = offer_schemas(options.bfcl)
    if options.tau:
        counts["tau"] = asyncio.run(run_tasks(options.tau))
    print(json.dumps(counts, indent=1))


def offer_schemas(folder: Path) -> dict[str, object]:
    """Offer every schema, and count those that are refused by the reason."""
    offered, refused = 0, dict[str, int]()
    for file in sorted(folder.glob("*.json")):
        if '"function"' not in (text := file.read_text()):
            continue  # a file of another kind
        for line in text.splitlines():
            for function in json.loads(line).get("function") or []:
                try:
                    default_registry.clear()
                    tool_from_schema(
                        function["name"], function.get("description", ""), function["parameters"], lambda **given: given
                    )
                    offered += 1
                except Exception as error:
                    refused[str(error)] = refused.get(str(error), 0) + 1
    return {"offered": offered, "refused": refused}


async def run_tasks(checkout: Path) -> dict[str, object]:
    """Run the tasks of both environments in both ways, and count those with the right database."""
    sys.path.insert(0, str(checkout))
    for name in ("tau_bench", "tau_bench.envs", "tau_bench.envs.retail", "tau_bench.envs.airline"):
        module = types.ModuleType(name)  # without the agents of the package, which want other packages
        module.__path__ = [str(checkout / name.replace(".", "/"))]
        sys.modules[name] = module
    counts: dict[str, object] = {}
    async with Session(tools=Registry()) as session:
        for environment in ("retail", "airline"):
            kinds = importlib.import_module(f"tau_bench.envs.{environment}.tools").ALL_TOOLS
            load = importlib.import_module(f"tau_bench.envs.{environment}.data").load_data
            module = importlib.import_module(f"tau_bench.envs.{environment}.tasks_test")
            tasks = getattr(module, "TASKS_TEST", None) or module.TASKS
            for way in ("schemas", "methods"):
                right = [await runs_right(session, kinds, load, task, way) for task in tasks[:TASKS]]
                counts[f"{environment}, {way}"] = {"tools": len(kinds), "tasks": len(right), "right": sum(right)}
    return counts


async def runs_right(session: Session, kinds: Iterable[Any], load: Any, task: Any, way: str) -> bool:
    """Run the actions of a task as one program, and compare the database with that of direct calls."""
    expected, data = load(), load()
    methods = {kind.get_info()["function"]["name"]: kind.invoke for kind in kinds}
    actions = [action for action in task.actions if action.name in methods]
    for action in actions:
        methods[action.name](expected, **action.kwargs)
    session.tools.clear()
    for kind in kinds:
        about = kind.get_info()["function"]
        call = functools.partial(kind.invoke, data)
        if way == "schemas":
            offered: Any = tool_from_schema(about["name"], about["description"], about["parameters"], call)
        else:
            offered = tool(name=about["name"], description=about["description"])(call)
        session.tools.add(offered)
    program = "\n".join(f"{action.name}(**{action.kwargs!r})" for action in actions) or "None"
    result = await session.ask("Go.", model=ScriptedModel([f"```python\n{program}\n'done'\n```"]), new=True)
    return result.error is None and data == expected


if __name__ == "__main__":
    main()
