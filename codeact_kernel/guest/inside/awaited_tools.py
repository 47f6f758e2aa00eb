"""Let programs await tools as if tools were async functions.

A tool returns its value directly. Models also write `await tool(x)`, `asyncio.gather(*[tool(x) for x in xs])`, or
`create_task(tool(x))`. Where a program awaits a call, the call is started without waiting, so that calls which are
awaited together run in parallel:

    await total(user=1)              →  await to_awaitable(to_starter(total)(user=1))
    gather(*[total(u) for u in us])  →  gather(*[to_starter(total)(u) for u in us])

An awaited call that this module does not recognise has already returned a plain value; `to_awaitable` and `event_loop`
accept it. Each call is made exactly once in any case.
"""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from .tool_calls import call_tool, call_tool_async

AWAITABLE, STARTING = "__codeact_awaitable__", "__codeact_starting__"
_AWAITING_FUNCTIONS = frozenset({
    "as_completed", "create_task", "ensure_future", "gather", "run", "run_until_complete", "shield", "wait", "wait_for",
})  # fmt: skip
"""Functions of asyncio, and methods of its loops, runners and groups, whose arguments are awaited."""
_AWAITED_PARAMETERS = frozenset({"arg", "aws", "coro", "coro_or_future", "fs", "fut", "future", "main"})
"""Their parameters that are awaited; the others are timeouts, names and similar options."""
_RUN_FUNCTIONS = frozenset({"run", "run_until_complete"})
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.GeneratorExp)
_ASYNC_NODES = (ast.Await, ast.AsyncFor, ast.AsyncWith)


# -- functions that rewritten programs call ----------------------------------------------------------------------------


def to_starter(function: Any) -> Any:
    """Return the function that starts the call of a tool and returns an awaitable; return other functions unchanged."""
    if function is call_tool:
        return call_tool_async
    if (start := getattr(function, "__codeact_start__", None)) is not None:
        return start
    if type(function).__name__ == "partial" and to_starter(function.func) is not function.func:
        return type(function)(to_starter(function.func), *function.args, **function.keywords)
    return function


def to_awaitable(value: Any) -> Any:
    """Return `value` if it can be awaited or called; otherwise a coroutine that returns it."""
    if hasattr(type(value), "__await__") or callable(value) or _is_coroutine(value):
        return value
    return _return(value)


def _is_coroutine(value: Any) -> bool:
    return bool(getattr(getattr(value, "gi_code", None), "co_flags", 0) & 0x100)  # of `types.coroutine`


async def _return(value: Any) -> Any:
    return value


# -- how programs are rewritten ----------------------------------------------------------------------------------------


def rewrite(tree: ast.Module) -> ast.Module:
    """Start the calls that the program awaits. The tree is changed in place."""
    return _Rewriter(tree).visit(tree)


class _Rewriter(ast.NodeTransformer):
    def __init__(self, tree: ast.Module) -> None:
        self._depth = 0
        self._modules: set[str] = set()
        self._functions: dict[str, str] = {}
        self._makers: set[str] = set()
        for node in ast.walk(tree):
            match node:
                case ast.Import():
                    self._modules |= {alias.asname or "asyncio" for alias in node.names if alias.name == "asyncio"}
                case ast.ImportFrom(module="asyncio"):
                    names = {alias.asname or alias.name: alias.name for alias in node.names}
                    self._functions.update({name: full for name, full in names.items() if full in _AWAITING_FUNCTIONS})
                    self._makers |= set(names)
                case _:
                    pass
        self._owners = {name for node in ast.walk(tree) for name in self._find_owners(node)}
        self._awaited_later = _AwaitedLater(tree, self.awaits_arguments).names
        self._is_async = any(isinstance(node, _ASYNC_NODES) for node in _walk_scope(tree))

    def _find_owners(self, node: ast.AST) -> Iterator[str]:
        """Yield the variables that hold a loop, a runner or a group."""
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if self._is_asyncio_call(value):
                yield name
            case ast.withitem(context_expr=value, optional_vars=ast.Name(id=name)) if self._is_asyncio_call(value):
                yield name
            case _:
                pass

    def _is_asyncio_call(self, node: ast.AST) -> bool:
        """Return whether the node is a call of asyncio, such as `asyncio.TaskGroup()`."""
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module))):
                return module in self._modules
            case ast.Call(func=ast.Name(id=name)):
                return name in self._makers
            case _:
                return False

    def _get_asyncio_name(self, function: ast.expr) -> str:
        """Return the name that a function has in asyncio."""
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        return self._functions.get(name, name) if isinstance(function, ast.Name) else name

    def awaits_arguments(self, function: ast.AST) -> bool:
        """Return whether this function awaits its arguments."""
        match function:
            case ast.Name(id=name):
                return name in self._functions
            case ast.Attribute(value=ast.Name(id=owner), attr=name):
                return name in _AWAITING_FUNCTIONS and owner in self._modules | self._owners
            case ast.Attribute(value=owner, attr=name):
                return name in _AWAITING_FUNCTIONS and self._is_asyncio_call(owner)
            case _:
                return False

    # -- statements and expressions that await ---------------------------------------------------------------------

    def visit_Await(self, node: ast.Await) -> ast.AST:
        node.value = self.start_calls(node.value)
        self.generic_visit(node)
        node.value = _make_call(AWAITABLE, node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if self.awaits_arguments(node.func):
            is_gather = self._get_asyncio_name(node.func) == "gather"
            node.args = [
                self.start_calls(arg) if is_gather or not index else arg for index, arg in enumerate(node.args)
            ]
            for keyword in node.keywords:
                if keyword.arg in _AWAITED_PARAMETERS:
                    keyword.value = self.start_calls(keyword.value)
        is_run = self.awaits_arguments(node.func) and self._get_asyncio_name(node.func) in _RUN_FUNCTIONS
        self.generic_visit(node)
        if is_run and self._is_async and not self._depth and node.args:
            # The program's own event loop is running, and no other can run inside it.
            return ast.copy_location(ast.Await(_make_call(AWAITABLE, node.args[0])), node)
        return node

    def visit_Assign(self, node: ast.Assign | ast.AnnAssign) -> ast.AST:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)])
                | ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name))])
                | ast.AnnAssign(target=ast.Name(id=name))
            ):
                if name in self._awaited_later and node.value is not None:
                    node.value = self.start_calls(node.value)
            case _:
                pass
        self.generic_visit(node)
        return node

    visit_AnnAssign = visit_Assign

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        if isinstance(node.target, ast.Name) and node.target.id in self._awaited_later:
            node.value = self.start_calls(node.value)
        self.generic_visit(node)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        match node.value:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append" | "extend"), args=[value]) as call:
                if name in self._awaited_later:
                    call.args = [self.start_calls(value)]
            case _:
                pass
        self.generic_visit(node)
        return node

    def visit(self, node: ast.AST) -> Any:
        inside = isinstance(node, _SCOPES)
        self._depth += inside
        result = super().visit(node)
        self._depth -= inside
        return result

    # -- awaited values --------------------------------------------------------------------------------------------

    def start_calls(self, node: ast.expr) -> ast.expr:
        """Change the expression so that it starts its calls without waiting."""
        match node:
            case ast.Call(func=ast.Name(id="list" | "tuple" | "set"), args=[item], keywords=[]):
                node.args = [self.start_calls(item)]
            case ast.Call(func=ast.Name(id="map"), args=[ast.Lambda() as function, *_]):
                function.body = self.start_calls(function.body)
            case ast.Call(func=ast.Name(id="map"), args=[function, *rest]):
                node.args = [_make_call(STARTING, function), *rest]
            case ast.Call() if not self.awaits_arguments(node.func):
                node.func = _make_call(STARTING, node.func)
            case ast.Starred():
                node.value = self.start_calls(node.value)
            case ast.List() | ast.Tuple() | ast.Set():
                node.elts = [self.start_calls(item) for item in node.elts]
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                node.elt = self.start_calls(node.elt)
            case ast.Dict():
                node.values = [self.start_calls(item) for item in node.values]
            case ast.DictComp():
                node.value = self.start_calls(node.value)
            case ast.IfExp():
                node.body, node.orelse = self.start_calls(node.body), self.start_calls(node.orelse)
            case _:
                pass
        return node


class _AwaitedLater:
    """Find variables that hold calls until all are awaited, as in `calls = [tool(x) for x in xs]; gather(*calls)`.

    A name counts only if every place that binds it holds calls, and every place that reads it awaits them.
    """

    def __init__(self, tree: ast.Module, awaits_arguments: Callable[[ast.AST], bool]) -> None:
        self._seen: Counter[str] = Counter()
        self._matches: Counter[str] = Counter()
        self._awaited: set[str] = set()
        self._dict_names = _find_dicts(tree)
        loops: list[tuple[str, str]] = []
        for node in ast.walk(tree):
            match node:
                case ast.Name(id=name):
                    self._seen[name] += 1
                case ast.arg(arg=name) | ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                    self._seen[name] += 1
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    self._seen[name] += 1
                case ast.Global(names=names) | ast.Nonlocal(names=names):
                    self._seen.update(names)
                case ast.alias():
                    self._seen[node.asname or node.name] += 1
                case _:
                    pass
            if isinstance(node, (ast.For, ast.comprehension)) and (loop := _match_loop(node.target, node.iter)):
                loops.append(loop)
            else:
                self._count(node, awaits_arguments)
        self._matches.update(item for _, item in loops)
        items = self._find_fitting()
        for name in (name for name, item in loops if item in items):
            self._await(name)
        self.names = self._find_fitting()

    def _find_fitting(self) -> set[str]:
        return {name for name in self._awaited if self._seen[name] == self._matches[name]}

    def _count(self, node: ast.AST, awaits_arguments: Callable[[ast.AST], bool]) -> None:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _holds_calls(value):
                self._matches[name] += 1
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if _holds_calls(value):
                self._matches[name] += 1
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name))], value=ast.Call()):
                self._matches[name] += 1
            case ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value) if _holds_calls(value):
                self._matches[name] += 1
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[ast.Call()]):
                self._matches[name] += 1
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="extend"), args=[items]):
                self._matches[name] += _holds_calls(items)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="keys"), args=[]):
                self._matches[name] += 1
            case ast.Call(func=ast.Name(id="len"), args=[ast.Name(id=name)]):
                self._matches[name] += 1
            case ast.Call(func=ast.Name(id="dict" | "list" | "sorted" | "zip"), args=args):
                self._matches.update(arg.id for arg in args if isinstance(arg, ast.Name) and arg.id in self._dict_names)
            case ast.Await(value=ast.Name(id=name)):
                self._await(name)
            case ast.Call() if awaits_arguments(node.func):
                for arg in (*node.args, *(keyword.value for keyword in node.keywords)):
                    value = arg.value if isinstance(arg, ast.Starred) else arg
                    for part in value.elts if isinstance(value, (ast.List, ast.Tuple, ast.Set)) else [value]:
                        if name := _match_values(part):
                            self._await(name)
            case _:
                pass

    def _await(self, name: str) -> None:
        self._matches[name] += 1
        self._awaited.add(name)


def _match_values(node: ast.expr) -> str:
    """Return the variable whose values the expression lists: a list, or a dict with `.values()`."""
    match node:
        case ast.Name(id=name) | ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="values"), args=[]):
            return name
        case _:
            return ""


def _match_loop(target: ast.expr, items: ast.expr) -> tuple[str, str] | None:
    """Return the variable whose values a loop iterates over, and the loop's name for each value."""
    match target, items:
        case (
            ast.Tuple(elts=[_, ast.Name(id=item)]),
            ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="items"), args=[]),
        ):
            return name, item
        case ast.Name(id=item), _ if name := _match_values(items):
            return name, item
        case _:
            return None


def _find_dicts(tree: ast.Module) -> set[str]:
    """Return the variables that hold a dict wherever they are assigned. Iterating over them yields keys, not calls."""
    is_dict: dict[str, bool] = {}
    for node in ast.walk(tree):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=value)
            ):
                is_dict[name] = is_dict.get(name, True) and isinstance(value, (ast.Dict, ast.DictComp))
            case _:
                pass
    return {name for name, always in is_dict.items() if always}


def _holds_calls(node: ast.AST) -> bool:
    match node:
        case ast.Call() | ast.List(elts=[]) | ast.Dict(values=[]):
            return True
        case ast.Dict(values=parts):
            return all(isinstance(part, ast.Call) for part in parts)
        case ast.DictComp(value=ast.Call()):
            return True
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            return all(isinstance(part, ast.Call) for part in parts)
        case ast.ListComp(elt=ast.Call()) | ast.SetComp(elt=ast.Call()) | ast.GeneratorExp(elt=ast.Call()):
            return True
        case _:
            return False


def _walk_scope(node: ast.AST) -> Iterator[ast.AST]:
    for part in ast.iter_child_nodes(node):
        yield part
        if not isinstance(part, _SCOPES):
            yield from _walk_scope(part)


def _make_call(name: str, value: ast.expr) -> ast.expr:
    return ast.copy_location(ast.Call(ast.copy_location(ast.Name(name, ast.Load()), value), [value], []), value)
