"""Read facts about the names of a program from its text, for `prefetch.slicer`.

Functions here run nothing of the program.
"""

import ast
from collections import Counter
from collections.abc import Iterator

BUILTINS = frozenset({
    "abs", "all", "any", "bin", "bool", "bytes", "chr", "dict", "divmod", "enumerate", "float", "format",
    "frozenset", "hex", "int", "isinstance", "len", "list", "max", "min", "oct", "ord", "pow", "range", "repr",
    "reversed", "round", "set", "slice", "sorted", "str", "sum", "tuple", "zip", "ArithmeticError", "Exception",
    "IndexError", "KeyError", "LookupError", "TypeError", "ValueError", "ZeroDivisionError",
})  # fmt: skip
"""Functions that a slice may call by name: they only change objects that are passed to them."""
CONSUMERS = frozenset({
    "dict", "frozenset", "list", "max", "min", "set", "sorted", "sum", "tuple",
})  # fmt: skip
"""Functions that read a generator to its end."""
PURE_MODULES = frozenset({
    "collections", "datetime", "decimal", "fractions", "json", "math", "operator", "re", "statistics",
    "string", "textwrap", "unicodedata",
})  # fmt: skip
PURE_METHODS = frozenset({
    "as_integer_ratio", "capitalize", "casefold", "center", "copy", "count", "date", "day", "difference", "encode",
    "endswith", "find", "format", "get", "index", "intersection", "is_integer", "isalnum", "isalpha", "isdigit",
    "isnumeric", "isoformat", "issubset", "issuperset", "items", "join", "keys", "ljust", "lower", "lstrip",
    "month", "most_common", "partition", "removeprefix", "removesuffix", "replace", "rjust", "rpartition", "rsplit",
    "rstrip", "split", "splitlines", "startswith", "strftime", "strip", "time", "timestamp", "title",
    "total_seconds", "union", "upper", "values", "weekday", "year", "zfill",
})  # fmt: skip
"""Methods that leave their object unchanged."""


def find_base_name(node: ast.AST) -> str | None:
    """Return the name of the variable that contains `a`, `a[0]` or `a.b[0].c`."""
    while isinstance(node, (ast.Subscript, ast.Attribute, ast.Starred)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def find_changed_names(*nodes: ast.AST) -> set[str]:
    """Return the names that these nodes bind, or whose objects they may change."""
    names: set[str | None] = set()
    for node in walk_all(*nodes):
        match node:
            case ast.Name(ctx=ast.Store() | ast.Del()):
                names.add(node.id)
            case ast.Subscript(ctx=ast.Store() | ast.Del()) | ast.Attribute(ctx=ast.Store() | ast.Del()):
                names.add(find_base_name(node))
            case ast.Call(func=ast.Attribute(attr=method) as function):
                if method not in PURE_METHODS:
                    names.add(find_base_name(function))
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar():
                names.add(node.name)
            case ast.MatchMapping():
                names.add(node.rest)
            case ast.alias():
                names.add(node.asname or node.name.partition(".")[0])
            case ast.arg():
                names.add(node.arg)
            case _:
                pass
    return {name for name in names if name}


def walk_all(*nodes: ast.AST) -> Iterator[ast.AST]:
    for node in nodes:
        yield from ast.walk(node)


def contains(kinds: type[ast.AST] | tuple[type[ast.AST], ...], *nodes: ast.AST) -> bool:
    return any(isinstance(node, kinds) for node in walk_all(*nodes))


def has_jump(body: list[ast.stmt], kinds: tuple[type[ast.stmt], ...]) -> bool:
    """Return whether the body contains a statement of these kinds that belongs to this loop or function itself."""
    for node in body:
        if isinstance(node, kinds):
            return True
        inside = kinds
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if isinstance(node, (ast.For, ast.AsyncFor, ast.While)):  # its `break` and `continue` leave the inner loop
            inside = tuple(kind for kind in kinds if kind is ast.Return)
            if has_jump(node.orelse, kinds):
                return True
        parts = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
        parts += [part.body for part in (*getattr(node, "handlers", []), *getattr(node, "cases", []))]
        if any(has_jump(part, inside) for part in parts):
            return True
    return False


class ProgramFacts:
    """Hold the facts about the names of a whole program.

    Attributes:
        read_only_tools: tools whose calls may be prefetched and whose names the program does not bind.
        side_effect_names: names of functions that change something or let time pass.
        unknown_names: names that a slice cannot use: functions of the program, and most imports.
        library_names: modules of which a slice may use everything, and names imported from them.
        functions: functions defined once, at the top level of the program.
    """

    def __init__(
        self, tree: ast.Module, read_only_tools: frozenset[str], tools: frozenset[str], acting_names: frozenset[str]
    ) -> None:
        bindings = Counter(name for node in ast.walk(tree) for name in _find_bound_names(node))
        self.read_only_tools = frozenset(name for name in read_only_tools if name not in bindings)
        self.side_effect_names = (tools - self.read_only_tools) | acting_names
        self._call_tool = "call_tool" not in bindings
        self.safe_builtins = frozenset(name for name in BUILTINS if name not in bindings)
        self.functions = {
            node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and bindings[node.name] == 1
        }
        functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        while (
            new_names := {node.name for node in functions if self.has_side_effects(*node.body)} - self.side_effect_names
        ):
            self.side_effect_names |= new_names
        self.library_names = {
            name for node in ast.walk(tree) for name in _find_library_names(node) if bindings[name] == 1
        }
        self.unknown_names = {name for node in ast.walk(tree) for name in _find_unknown_names(node)} | set(
            self.functions
        )

    def find_tool(self, node: ast.AST) -> str | None:
        """Return the name of the read-only tool that this node calls, or `None`."""
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in self.read_only_tools:
                return name
            case ast.Call(func=ast.Name(id="call_tool"), args=[ast.Constant(value=str(name))]) if self._call_tool:
                return name if name in self.read_only_tools else None
            case _:
                return None

    def has_side_effects(self, *nodes: ast.AST) -> bool:
        """Return whether the nodes may change data that a tool reads.

        `scheduler.discard_answers` catches changes that cannot be seen in the text.
        """
        return contains((ast.Await, ast.Yield, ast.YieldFrom), *nodes) or any(
            (isinstance(node, ast.Name) and node.id in self.side_effect_names)
            or (isinstance(node, ast.Attribute) and node.attr in self.side_effect_names)
            or (_find_called_name(node) == "call_tool" and not self.find_tool(node))
            for node in walk_all(*nodes)
        )


def _find_called_name(node: ast.AST) -> str | None:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None


def _find_bound_names(node: ast.AST) -> set[str]:
    """Return the names that this node itself binds, without its children."""
    if isinstance(node, (ast.Global, ast.Nonlocal)):
        return set(node.names)
    if isinstance(
        node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
    ):
        return {node.name} if node.name else set()
    if isinstance(node, (ast.Name, ast.alias, ast.arg, ast.MatchMapping)):
        return find_changed_names(node)
    return set()


def _find_library_names(node: ast.AST) -> set[str]:
    if isinstance(node, ast.ImportFrom):
        return find_changed_names(*node.names) if node.module in PURE_MODULES else set()
    return {
        name
        for alias in getattr(node, "names", [])
        if isinstance(alias, ast.alias) and alias.name in PURE_MODULES
        for name in find_changed_names(alias)
    }


def _find_unknown_names(node: ast.AST) -> set[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import():
            return {
                name for alias in node.names for name in find_changed_names(alias) if alias.name not in PURE_MODULES
            }
        case ast.ImportFrom(module=module) if module not in PURE_MODULES:
            return find_changed_names(*node.names)
        case _:
            return set()
