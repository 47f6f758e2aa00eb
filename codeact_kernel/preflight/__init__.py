"""Check a program before it runs, and report to the model what cannot work, without side effects.

This helps the model and is not a security boundary: a program can reach a tool in ways that are not visible here.
Permissions are decided when a call reaches the host.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Collection, Container, Iterable, Mapping
from hashlib import sha256
from itertools import islice
from typing import cast

from ..settings import Limits
from .earlier_names import reads_earlier_names
from .needless_imports import Cleaned, without_needless_imports
from .program_facts import ProgramFacts
from .report import Problem, Report, Site, ToolFacts
from .rules import find_problems
from .syntax import describe, may_be_newer, without_spaces

__all__ = [
    "Cleaned",
    "Problem",
    "Report",
    "Site",
    "ToolFacts",
    "check",
    "fingerprint",
    "reads_earlier_names",
    "without_needless_imports",
]

MAX_PROBLEMS = 10
PROGRAM_BYTES = Limits().program_bytes


def check(
    program: str,
    tools: Mapping[str, ToolFacts],
    modules: Container[str],
    known: Container[str] = (),
    *,
    direct: Collection[str] = (),
    program_bytes: int = PROGRAM_BYTES,
) -> Report:
    """Find problems in `program`. Never raises, whatever the text.

    Args:
        tools: The tools that the program may call, by name.
        modules: The names that can be imported; if it is iterable, similar names are suggested.
        known: The names that already exist in the guest: its inputs, and variables of earlier programs of the turn.
        direct: The tools that no program may call.
        program_bytes: The maximum length of the program in bytes of UTF-8.
    """
    if len(program.encode("utf-8", "surrogatepass")) > program_bytes:
        return _reject(f"The program is longer than {program_bytes} bytes: write a shorter one.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _check(program, tools, modules, known, direct)
        except SyntaxError as error:
            if may_be_newer(program):
                return Report((), _unique(word for word in re.findall(r"\w+", program) if word in tools))
            return Report((describe(error, program),), ())
        except ValueError:
            return _reject("The program contains NUL or broken characters: write plain text.")
        except (RecursionError, MemoryError):
            return _reject("The program is nested too deeply: use more lines and variables.")


def _check(
    program: str,
    tools: Mapping[str, ToolFacts],
    modules: Container[str],
    known: Container[str],
    direct: Collection[str],
) -> Report:
    tree = ast.parse(program)
    facts = ProgramFacts()
    facts.visit(tree)
    rules = find_problems(facts, tools, modules, known, direct)
    problems = [problem for rule in rules for problem in islice(rule, MAX_PROBLEMS)]
    try:
        compile(tree, "<program>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except SyntaxError as error:
        if error.lineno not in {problem.line for problem in problems}:
            problems.append(describe(error, program))
    problems.sort(key=lambda problem: problem.line or 0)
    uses = sorted(facts.uses, key=lambda use: (use.line, use.column))
    sites = tuple(
        Site(use.name, use.line, use.repeated) for use in uses if use.name in tools and use.scope.means_global(use.name)
    )
    return Report(tuple(problems[:MAX_PROBLEMS]), _unique(site.name for site in sites), sites)


def fingerprint(program: str) -> str:
    """Return the same text for programs that differ only in spaces, comments, docstrings and other idle statements."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(program)
            _drop_idle_statements(tree)
            text = ast.dump(tree)
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # the syntax is newer than this host, or wrong
            text = without_spaces(program)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _drop_idle_statements(tree: ast.Module) -> None:
    """Drop `pass`, docstrings and other constants, except the last statement, which is the value of a program."""
    for node in ast.walk(tree):
        body: object = getattr(node, "body", None)
        if isinstance(body, list):
            statements = cast("list[ast.stmt]", body)
            last = statements[-1:] if node is tree else []
            body[:] = [statement for statement in statements if statement in last or not _is_idle(statement)]


def _is_idle(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _reject(message: str) -> Report:
    return Report((Problem(None, message),), ())


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
