"""Find out from the tree of a program what it does with its tools and its data."""

from __future__ import annotations

import ast

from ..capability import CALL_NAMES
from ..preflight.program_facts import ProgramFacts

__all__ = [
    "calls_computed_names",
    "changes_foreign_data",
    "find_awaited",
    "find_imports",
    "find_numbers",
    "find_reaching_names",
]

_WAITING = frozenset({
    "as_completed", "create_task", "ensure_future", "gather", "run", "run_until_complete", "shield", "wait", "wait_for",
})  # fmt: skip
_CHANGING = frozenset({
    "append", "clear", "extend", "insert", "pop", "popitem", "remove", "reverse", "setdefault", "sort", "update",
})  # fmt: skip
_MAKERS = frozenset({"Counter", "OrderedDict", "defaultdict", "deque", "dict", "list", "set", "sorted"})

_REACHING_MODULES = frozenset({
    "asyncio.subprocess", "builtins", "bz2", "code", "codecs", "ctypes", "fileinput", "ftplib", "gc", "glob", "gzip",
    "http", "imaplib", "importlib", "inspect", "io", "linecache", "logging", "lzma", "mmap", "multiprocessing", "os",
    "pathlib", "pickle", "poplib", "pydoc", "runpy", "selectors", "shelve", "shutil", "signal", "smtplib", "socket",
    "socketserver", "sqlite3", "ssl", "subprocess", "sys", "tarfile", "telnetlib", "tempfile", "timeit", "urllib",
    "webbrowser", "zipfile",
})  # fmt: skip
"""Modules with which code reaches files, processes and hosts, or other code."""
_REACHING_BUILTINS = frozenset(
    {
        "__import__",
        "breakpoint",
        "compile",
        "delattr",
        "eval",
        "exec",
        "getattr",
        "globals",
        "locals",
        "open",
        "setattr",
        "vars",
    }
)


_REACHING_ATTRIBUTES = frozenset({
    "create_subprocess_exec", "create_subprocess_shell", "f_globals", "gi_frame", "open_connection",
    "open_unix_connection", "start_server", "start_unix_server",
})  # fmt: skip
"""Attributes with which code reaches the same without such a module, for example those of `asyncio`."""


def find_reaching_names(facts: ProgramFacts) -> list[str]:
    """Return the names with which the program could reach more than its tools and its data, outside of the sandbox."""
    modules = [imported.module for imported in facts.imports]
    used = {use.name for use in facts.uses if use.name not in facts.bound} & _REACHING_BUILTINS
    hidden = {use.name for use in facts.attributes if use.name.startswith("__") or use.name in _REACHING_ATTRIBUTES}
    reached = {module for module in modules if not _REACHING_MODULES.isdisjoint({module, module.partition(".")[0]})}
    return sorted(used | hidden | reached)


def calls_computed_names(tree: ast.Module) -> bool:
    """Return whether the program calls a tool by a name that is not written out, with `call_tool(name)`."""
    written = [
        node.func
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)
    ]
    return any(
        isinstance(node, ast.Name) and node.id in CALL_NAMES and not any(node is function for function in written)
        for node in ast.walk(tree)
    )


def find_numbers(tree: ast.Module) -> list[int]:
    """Return the numbers n of `results[n]`, or nothing if some are not written out."""
    numbers: list[int] = []
    written = 0
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=ast.Name(id="results"), slice=ast.Constant(value=int(number))):
                numbers.append(number)
            case ast.Name(id="results"):
                written += 1
            case _:
                pass
    return list(dict.fromkeys(numbers)) if len(numbers) == written else []


def find_imports(statement: ast.stmt, name: str) -> list[tuple[str, str]]:
    """Return the imports of a statement that bind `name`: the module, and its member or ""."""
    match statement:
        case ast.Import(names=names):
            modules = [(alias, alias.name if alias.asname else alias.name.partition(".")[0]) for alias in names]
            return [(module, "") for alias, module in modules if (alias.asname or module) == name]
        case ast.ImportFrom(module=str(module), names=names):
            return [(module, alias.name) for alias in names if (alias.asname or alias.name) == name]
        case _:
            return []


def find_awaited(tree: ast.Module, tool: str) -> set[ast.Name]:
    """Return the places that call the tool and await the call, directly or in `gather(...)` and the like."""
    found: set[ast.Name] = set()
    lists = _find_awaited_variables(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Await(value=value):
                found |= _called_in(value, tool)
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=args) if name in _WAITING:
                for arg in args:
                    found |= _called_in(arg, tool)
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in lists:
                found |= _called_in(value, tool)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[value]) if name in lists:
                found |= _called_in(value, tool)
            case _:
                pass
    return found


def _find_awaited_variables(tree: ast.Module) -> set[str]:
    """Return the variables that hold calls which are awaited later, as in `gather(*calls)` or `await call`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Await(value=ast.Name(id=name)):
                names.add(name)
            case ast.Call(func=ast.Attribute(attr=function) | ast.Name(id=function), args=args) if function in _WAITING:
                parts = [arg.value if isinstance(arg, ast.Starred) else arg for arg in args]
                names |= {part.id for part in parts if isinstance(part, ast.Name)}
            case _:
                pass
    return names


def _called_in(value: ast.expr, tool: str) -> set[ast.Name]:
    """Return the calls of the tool that the value is, or holds as items."""
    match value:
        case ast.Call(func=ast.Name(id=name) as node) if name == tool:
            return {node}
        case ast.Starred(value=inner) | ast.ListComp(elt=inner) | ast.GeneratorExp(elt=inner):
            return _called_in(inner, tool)
        case ast.DictComp(value=inner) | ast.SetComp(elt=inner):
            return _called_in(inner, tool)
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Dict(values=parts):
            return set[ast.Name]().union(*(_called_in(part, tool) for part in parts))
        case _:
            return set()


def changes_foreign_data(tree: ast.Module) -> bool:
    """Return whether the program may change a list or dict that it did not make itself, but got from the notebook.

    In the sandbox it changes a copy.
    """
    own = _find_own_containers(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=base, ctx=ast.Store() | ast.Del()):
                pass
            case ast.Call(func=ast.Attribute(value=base, attr=method)) if method in _CHANGING:
                pass
            case ast.AugAssign(op=ast.Add() | ast.BitOr(), target=ast.Name(), value=ast.List() | ast.Dict()):
                return True
            case _:
                continue
        if not (isinstance(base, ast.Name) and base.id in own):
            return True
    return False


def _find_own_containers(tree: ast.Module) -> set[str]:
    """Return the variables that only ever hold containers that the program makes."""
    own: dict[str, bool] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=value):
                names = [target for target in targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name() as target, value=ast.expr() as value):
                names = [target]
            case _:
                continue
        for name in names:
            own[name.id] = own.get(name.id, True) and _makes_container(value)
    stores = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return {name for name, is_own in own.items() if is_own and stores.count(name) == 1}


def _makes_container(value: ast.expr) -> bool:
    if isinstance(value, (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)):
        return True
    match value:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in _MAKERS
        case _:
            return False
