"""One arm as a process of its own: `python arm.py NAME URL MODEL`. Takes a run on each line of its input, as JSON, and
answers with a line of facts. The arms need different environments, and must not disturb each other.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

REFERENCE = {"direct": "direct", "reference": "codeact", "stand-in": "stand-in"}
"""The arms that need agent-framework; the others are named like our backends."""


def make(name: str, url: str, model: str) -> Any:
    if name in REFERENCE:
        from reference import Reference

        return Reference(REFERENCE[name], url, model)
    from ours import Ours

    return Ours(name, url, model)


def say(facts: dict[str, Any]) -> None:
    print(json.dumps(facts), flush=True)


async def serve(name: str, url: str, model: str) -> None:
    arm = make(name, url, model)
    say({"ready": True, **arm.facts})
    while line := await asyncio.to_thread(sys.stdin.readline):
        try:
            say(await arm.run(**json.loads(line)))
        except Exception as error:  # an arm that fails is a result
            say({"failed": f"{type(error).__name__}: {error}"[:500]})


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:4]))
