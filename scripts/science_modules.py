"""Write the list of modules that a program can import in the science guest: each is imported there once.

.venv/bin/python scripts/science_modules.py
"""

from __future__ import annotations

import asyncio
import io
import sys
import zipfile
from itertools import groupby
from pathlib import Path

from codeact_kernel.guest.kinds import SCIENCE
from codeact_kernel.sandbox.backends import science_wheel
from codeact_kernel.sandbox.pool import Pool
from codeact_kernel.sandbox.run_clock import RunClock
from codeact_kernel.settings import Limits
from codeact_kernel.types import CallError, CallOutcome, HostCall, ToolCall

TARGET = Path(__file__).parents[1] / "codeact_kernel" / "guest" / "science_modules.txt"
# They open windows, start processes, are the tests of a package, or belong to the runner that is not used.
LEFT_OUT = frozenset(
    {"antigravity", "host", "idlelib", "pip", "test", "tests", "testing", "conftest", "this", "turtledemo"}
)
TRIAL = """
import importlib, io, sys
found = []
for name in {names}:
    out, sys.stdout, sys.stderr = (sys.stdout, sys.stderr), io.StringIO(), io.StringIO()
    try:
        importlib.import_module(name)
        found.append(name)
    except BaseException:
        pass
    sys.stdout, sys.stderr = out
found
"""


async def main() -> None:
    """Import all modules of the library, those below one package in one guest, and write the names that work."""
    pool = Pool("embedded", Limits(run_seconds=600, cpu_seconds=600, memory_bytes=1 << 30), SCIENCE)
    importable: list[str] = []
    try:
        builtins = await run(pool, "import sys\n[*sys.builtin_module_names, *sys.stdlib_module_names]")
        names = sorted({*library_names(), *filter(is_public, builtins)})
        for package, family in groupby(names, key=lambda name: name.partition(".")[0]):
            found = await run(pool, TRIAL.format(names=list(family)))
            print(f"{package}: {len(found)}", file=sys.stderr)
            importable += found
    finally:
        await pool.aclose()
    TARGET.write_text("\n".join(sorted(importable)) + "\n", encoding="utf-8")


def library_names() -> list[str]:
    """Return the public names of all modules in the library."""
    library = next(iter(science_wheel.open_library().values()))
    paths = [path for path in zipfile.ZipFile(io.BytesIO(library[:])).namelist() if path.endswith(".pyc")]
    names = [path.removesuffix(".pyc").removesuffix("/__init__").replace("/", ".") for path in paths]
    return [name for name in names if is_public(name)]


def is_public(name: str) -> bool:
    """Return whether a program could want the module."""
    parts = name.split(".")
    return not any(part.startswith("_") or part in LEFT_OUT or not part.isidentifier() for part in parts)


async def run(pool: Pool, program: str) -> list[str]:
    """Return the value of a program; of one that fails, an empty list."""

    async def answer(call: ToolCall | HostCall) -> CallOutcome:
        return CallError(kind="ToolFailed", message="there is no host")

    async with pool.checkout() as sandbox:
        outcome = await sandbox.run(
            program,
            tools={},
            keep=False,
            answer=answer,
            write=lambda stream, text: None,
            clock=RunClock(600),
        )
    if outcome.failure is not None:
        print(outcome.failure, file=sys.stderr)
    return outcome.value if isinstance(outcome.value, list) else []  # type: ignore[return-value]


if __name__ == "__main__":
    asyncio.run(main())
