"""The rules of preflight. Each rule reads the facts of a program and yields problems."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import cast

from ..capability import CALL_NAMES, ERROR_NAMES, NETWORK
from ..text import format_list, quote
from .program_facts import Call, Import, ProgramFacts, Use
from .reachable import CallGraph
from .report import Problem, ToolFacts

__all__ = ["EXCEPTIONS", "RESERVED", "TOOL_MODULES", "find_problems", "is_known_library"]

RESERVED = CALL_NAMES | {"observe"}
EXCEPTIONS = ERROR_NAMES
# IPython and the CodeAct kernel add names to the host's builtins that the guest does not have.
PRESENT = frozenset(dir(builtins)) - {"display", "get_ipython", "tool"} | RESERVED | EXCEPTIONS
# A program that uses one of these can define names in ways that are not visible here.
NAMESPACES = frozenset({"exec", "globals", "locals", "vars"})
ALWAYS_IMPORTABLE = frozenset({"__future__", "__main__"})
TOOL_MODULES = frozenset({"codeact", "codeact_kernel", "functions", "hyperlight", "tool", "tools"})
# Third-party modules whose most similar name in the standard library is not a substitute.
WITHOUT_SUBSTITUTE = frozenset({"httpx", "lxml", "typer", "urllib3", "xarray"})
# An import from one of these modules means the library, even if a tool has the same name.
# fmt: off
LIBRARIES = frozenset({
    "IPython", "PIL", "boto3", "bs4", "click", "cv2", "dask", "dateutil", "django", "duckdb", "fastapi", "flask",
    "geopandas", "google", "ibis", "jinja2", "keras", "mcp", "mysql", "networkx", "nltk", "numpy", "openai", "openpyxl",
    "pandas", "polars", "psycopg2", "pyarrow", "pydantic", "pymongo", "pytest", "pytz", "redis", "rich", "scipy",
    "scrapy", "selenium", "sklearn", "spacy", "sqlalchemy", "statsmodels", "sympy", "tabulate", "tensorflow", "torch",
    "tqdm", "transformers", "yaml", "yfinance",
})
# fmt: on
MAX_NAMES_SHOWN = 12
MAX_NAMES_COMPARED = 50
# fmt: off
CHARTS = frozenset({
    "altair", "bokeh", "holoviews", "hvplot", "matplotlib", "mpl_toolkits", "plotext", "plotly", "plotnine",
    "pyecharts", "pygal", "pylab", "pyplot", "seaborn",
})
# fmt: on
TABLES = frozenset({"cudf", "dask", "duckdb", "ibis", "modin", "polars", "pyarrow", "pyspark", "vaex"})
CHART_NAMES = frozenset({"alt", "plt", "px", "sns"})
SHOW = "To draw a chart, call `show(rows, chart='bar', x=..., y=...)`, which needs no import."
SHOW_ALL = "To show text, a table or a picture, call `show(value)`, which needs no import."
_NETWORK_IS_OFF = "The network is off, no host is allowed: the user allows one with --allow-domain or allowed_domains."
CLIENTS = frozenset({"aiohttp", "httpx", "requests", "urllib3"})


def find_problems(
    facts: ProgramFacts,
    tools: Mapping[str, ToolFacts],
    modules: Container[str],
    known: Container[str],
    direct: Collection[str],
) -> Iterator[Iterator[Problem]]:
    """Yield the problems of each rule in turn. A rule may yield many problems."""
    library, graph = _Library(modules), CallGraph(facts)
    yield _direct_tools(facts, direct)
    yield _wrong_imports(facts, tools, library, known)
    yield _rebound_tools(facts, graph, tools, library)
    yield _wrong_calls(facts, graph, tools, direct)
    yield _wrong_awaits(facts, graph, tools)
    yield _undefined_names(facts, graph, tools, library, known, direct)
    yield (Problem.at(n, "returns outside a function", "End with the expression itself.") for n in facts.returns)


def is_known_library(module: str) -> bool:
    """Whether the top-level name belongs to a well-known library that the sandbox does not have."""
    return any(module in names for names in (WITHOUT_SUBSTITUTE, LIBRARIES, CHARTS, CLIENTS))


class _Library:
    """The modules of the guest."""

    def __init__(self, modules: Container[str]) -> None:
        self.modules = modules
        self.listed = tuple(cast("Iterable[str]", modules)) if isinstance(modules, Iterable) else ()

    def lacks(self, statement: Import) -> bool:
        if statement.relative:
            return True
        name = statement.module
        if name in ALWAYS_IMPORTABLE or name in self.modules:
            return False
        top = name.partition(".")[0]
        # If the list names no submodule of a package, its submodules are unknown.
        return name == top or top not in self.modules or any(other.startswith(f"{top}.") for other in self.listed)


def _wrong_imports(
    facts: ProgramFacts, tools: Mapping[str, ToolFacts], library: _Library, known: Container[str]
) -> Iterator[Problem]:
    graph = CallGraph(facts, counts=lambda use: not use.guarded)
    for statement in filter(library.lacks, facts.imports):
        # A handler only runs if an import of its `try` failed.
        alternatives = statement.instead_of
        if not graph.runs(statement.scope) or (alternatives and not any(map(library.lacks, alternatives))):
            continue
        top = statement.module.partition(".")[0]
        wanted = [name for name in (*statement.names, top) if name in tools or name in RESERVED]
        if wanted:
            fault = f"imports {quote(wanted[0])}, but tools need no import"
            yield Problem.at(
                statement.line, fault, f"Leave the import out and call {_usage(wanted[0], tools)} directly."
            )
        elif statement.guarded:
            continue
        elif top in TOOL_MODULES:
            fault = f"imports {quote(statement.module)}, but tools need no import"
            yield Problem.at(statement.line, fault, f"Leave the import out and call a tool directly. {_listing(tools)}")
        elif statement.relative:
            yield Problem.at(statement.line, "imports from a package of its own, and there is none", "Leave it out.")
        else:
            near = None if top in WITHOUT_SUBSTITUTE else _near(statement.module, library.listed, 0.8)
            remedy = f"Did you mean {quote(near)}?" if near else "Use plain Python and the tools instead."
            has_pandas = "pandas" in library.listed
            if top in CHARTS:
                remedy = "Use matplotlib, whose figures are shown." if has_pandas else SHOW
            elif top in TABLES and has_pandas:
                remedy = "Use pandas, which is there."
            elif top == "IPython":
                remedy = SHOW_ALL
            elif top in CLIENTS and "http_get" in known:
                remedy = "Call `http_get(url)` or `http_post(url, json=...)`, which need no import."
            yield Problem.at(statement.line, f"imports {quote(statement.module)}, which is not in the sandbox", remedy)


def _direct_tools(facts: ProgramFacts, direct: Collection[str]) -> Iterator[Problem]:
    calls = {
        use.name: use.line for use in reversed(facts.uses) if use.name in direct and use.scope.means_global(use.name)
    }
    for call in facts.calls:
        if call.name in CALL_NAMES and (name := _named(call)) in direct:
            calls.setdefault(name, call.node.lineno)
    for name, line in calls.items():
        if name not in facts.module.bound:
            remedy = f"End with observe(value); then answer with a block that is just {name}(...), values written out."
            yield Problem.at(line, f"calls {quote(name)}, which you call yourself and no program can", remedy)


def _named(call: Call) -> str:
    """Return the tool that a `call_tool(...)` names, or ""."""
    match call.node.args:
        case [ast.Constant(value=str(name)), *_]:
            return name
        case _:
            return ""


def _rebound_tools(
    facts: ProgramFacts, graph: CallGraph, tools: Mapping[str, ToolFacts], library: _Library
) -> Iterator[Problem]:
    seen = set[str]()
    # `x = x(...)` in a function: `x` is now a variable instead of the tool, and has no value yet.
    lost = {bound for bound in facts.unbound if graph.runs(bound.scope)}
    rejected = {statement.line for statement in facts.imports if library.lacks(statement)}
    for bound in (*facts.bindings, *facts.unbound):
        name, kind = bound.name, bound.scope.kind
        if name in seen or not (name in tools or name in RESERVED):
            continue
        if bound.verb == "imports" and bound.line in rejected:
            continue
        # A variable of a function only hides the tool there; a function with the name would replace the tool anywhere.
        if kind != "module" and not (kind == "function" and bound.verb == "defines") and bound not in lost:
            continue
        seen.add(name)
        what = "a tool" if name in tools else "a function of the sandbox"
        if bound.verb == "defines":
            fault = f"defines {quote(name)} itself. It is {what} that exists already"
            yield Problem.at(bound.line, fault, "Call it, do not define it.")
        else:
            fault = f"uses {quote(name)} as the name of something else, but it is {what}"
            yield Problem.at(bound.line, fault, f"Choose another name, for example {quote(name + '_result')}.")


def _wrong_calls(
    facts: ProgramFacts, graph: CallGraph, tools: Mapping[str, ToolFacts], direct: Collection[str]
) -> Iterator[Problem]:
    for call in facts.calls:
        if call.name in facts.module.bound or not call.scope.means_global(call.name) or not graph.runs(call.scope):
            continue
        if call.name in tools:
            yield from _wrong_arguments(call.node, call.node.args, call.name, tools[call.name])
        elif call.name in CALL_NAMES and _named(call) not in direct:
            yield from _wrong_call_tool(call, facts, tools)
        elif call.name == "input":
            remedy = "Take the value from a tool or write it in the program."
            yield Problem.at(call.node.lineno, "calls `input`, but there is no input in the sandbox", remedy)


def _wrong_awaits(facts: ProgramFacts, graph: CallGraph, tools: Mapping[str, ToolFacts]) -> Iterator[Problem]:
    """Find errors that would only appear after the call, and calls without effect. A plain `await tool(...)` works."""
    for name, line in facts.dropped:
        fault = f"calls {quote(name)}, which is an `async def`, without `await`, so that nothing happens"
        yield Problem.at(line, fault, f"Write `await {name}(...)`.")
    for word, node, scope in facts.awaited:
        match word, node:
            case "await", ast.Name(id=name):
                fault, remedy = f"awaits {quote(name)} without calling it", f"Call it: {_usage(name, tools)}."
            case "async for", ast.Call(func=ast.Name(id=name)):
                fault = f"loops over {quote(f'{name}(...)')} with `async for`, but a tool gives its value at once"
                remedy = "Use a plain `for`."
            case "async with", ast.Call(func=ast.Name(id=name)):
                fault = f"uses {quote(f'{name}(...)')} in `async with`, but a tool gives a plain value"
                remedy = "Assign it to a variable."
            case _:
                continue
        if name in tools and name not in facts.module.bound and scope.means_global(name) and graph.runs(scope):
            yield Problem.at(node.lineno, fault, remedy)


def _wrong_call_tool(call: Call, facts: ProgramFacts, tools: Mapping[str, ToolFacts]) -> Iterator[Problem]:
    if not (name := _named(call)):
        return
    line, others = call.node.lineno, call.node.args[1:]
    if name not in tools:
        near = _near(name, tools)
        remedy = f"Did you mean {quote(near)}?" if near else _listing(tools)
        yield Problem.at(line, f"calls the tool {quote(name)}, which does not exist", remedy)
    elif others:
        fault = f"gives {call.name} more than the tool's name, but {call.name} takes keyword arguments"
        keywords = "".join(f", {parameter}=..." for parameter in tools[name].parameters)
        yield Problem.at(line, fault, f'Write {call.name}("{name}"{keywords}).')
    else:
        yield from _wrong_arguments(call.node, [], name, tools[name])


def _wrong_arguments(node: ast.Call, positional: list[ast.expr], name: str, tool: ToolFacts) -> Iterator[Problem]:
    keywords = [keyword.arg for keyword in node.keywords if keyword.arg is not None]
    unpacks = any(isinstance(argument, ast.Starred) for argument in positional)
    filled = () if unpacks else tool.parameters[: len(positional)]
    unknown = [keyword for keyword in keywords if keyword not in tool.parameters]
    twice = [keyword for keyword in keywords if keyword in filled]
    missing = [parameter for parameter in tool.required if parameter not in filled and parameter not in keywords]
    if unpacks or len(keywords) < len(node.keywords):
        missing = []
    faults = [f"the unknown argument {quote(keyword)}" for keyword in unknown[:3]]
    faults += [f"{quote(keyword)} given twice" for keyword in twice[:3]]
    if not unpacks and len(positional) > len(tool.parameters):
        faults.append(_too_many(len(positional), len(tool.parameters)))
    if missing:
        faults.append(f"{', '.join(map(quote, missing[:3]))} missing")
    if faults:
        fault = f"calls {quote(name)} with {' and '.join(faults)}"
        # A signature is not enough for a small model: it needs to see the correct call.
        correct = ", ".join(f"{parameter}=..." for parameter in tool.required or tool.parameters)
        yield Problem.at(node.lineno, fault, f"The tool is {_usage(name, {name: tool})}: write {name}({correct}).")


def _too_many(given: int, accepted: int) -> str:
    arguments = "argument" if given == 1 else "arguments"
    return f"{given} positional {arguments} where it takes {accepted or 'none'}"


def _undefined_names(
    facts: ProgramFacts,
    graph: CallGraph,
    tools: Mapping[str, ToolFacts],
    library: _Library,
    known: Container[str],
    direct: Collection[str],
) -> Iterator[Problem]:
    may_fail = [use for use in facts.uses if not (use.quoted or use.is_harmless) and graph.runs(use.scope)]
    if "*" in facts.bound or any(use.name in NAMESPACES for use in facts.uses):
        return
    # The first place that certainly runs, otherwise the first in a branch.
    uses: dict[str, Use] = {}
    for use in sorted(may_fail, key=lambda use: use.in_branch):
        uses.setdefault(use.name, use)
    called = {call.name for call in facts.calls}
    owners = {owner: member for owner, member, _ in facts.members if member in tools or member in RESERVED}
    present = (facts.bound, PRESENT, tools, known, direct)
    undefined = [use for use in uses.values() if not any(use.name in names for names in present)]
    for use in sorted(undefined, key=lambda use: use.line)[:MAX_NAMES_COMPARED]:
        remedy = _remedy(use.name, tools, library, owners)
        # A missing tool is reported even in a branch. Any other name in a branch may never be reached.
        if use.in_branch and not _is_meant_for_tool(use.name, tools, owners):
            continue
        if remedy or use.name in called:
            fault = f"uses {quote(use.name)}, which is not defined"
            problem = Problem.at(use.line, fault, remedy or _listing(tools))
            # Only the user can do something about that.
            yield replace(problem, fault="") if remedy is _NETWORK_IS_OFF else problem


def _is_meant_for_tool(name: str, tools: Mapping[str, ToolFacts], owners: Mapping[str, str]) -> bool:
    return name in NETWORK.guest_names or name == "display" or name in owners or bool(_near(name, tools))


def _remedy(name: str, tools: Mapping[str, ToolFacts], library: _Library, owners: Mapping[str, str]) -> str:
    if name in NETWORK.guest_names:
        return _NETWORK_IS_OFF
    if name == "display":
        return "Print the value, or make it the last line."
    if name in owners:
        return f"Call {_usage(owners[name], tools)} directly."
    if name in CHART_NAMES:
        return SHOW
    if name in library.modules:
        return f"Add {quote(f'import {name}')}."
    near = _near(name, tools)
    if near:
        return f"Did you mean the tool {_usage(near, tools)}?"
    return ""


def _usage(name: str, tools: Mapping[str, ToolFacts]) -> str:
    if name in CALL_NAMES:
        return f'{name}("name", argument=...)'
    if name not in tools:
        return f"{name}(value)"
    tool = tools[name]
    return f"{name}({', '.join(name if name in tool.required else f'{name}=...' for name in tool.parameters)})"


def _listing(tools: Mapping[str, ToolFacts]) -> str:
    if not tools:
        return "There are no tools: use plain Python."
    return f"The tools are {format_list(list(tools), MAX_NAMES_SHOWN, ', and others')}."


def _near(name: str, names: Iterable[str], cutoff: float = 0.7) -> str | None:
    return next(iter(get_close_matches(name, names, n=1, cutoff=cutoff)), None)
