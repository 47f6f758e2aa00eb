"""What a program's text says of its names, for `prefetch.slicer`. Pure."""

import ast
from collections import Counter
from collections.abc import Iterator

BUILTINS = frozenset({
    "abs", "all", "any", "bin", "bool", "bytes", "chr", "dict", "divmod", "enumerate", "float", "format",
    "frozenset", "hex", "int", "isinstance", "len", "list", "max", "min", "oct", "ord", "pow", "range", "repr",
    "reversed", "round", "set", "slice", "sorted", "str", "sum", "tuple", "zip", "ArithmeticError", "Exception",
    "IndexError", "KeyError", "LookupError", "TypeError", "ValueError", "ZeroDivisionError",
})  # fmt: skip
"""What a shadow may call by name: these change nothing that is not handed to them."""
EAGER = frozenset({
    "dict", "frozenset", "list", "max", "min", "set", "sorted", "sum", "tuple",
})  # fmt: skip
"""These read a generator to its end."""
MODULES = frozenset({
    "collections", "datetime", "decimal", "fractions", "json", "math", "operator", "re", "statistics",
    "string", "textwrap", "unicodedata",
})  # fmt: skip
READING = frozenset({
    "as_integer_ratio", "capitalize", "casefold", "center", "copy", "count", "date", "day", "difference", "encode",
    "endswith", "find", "format", "get", "index", "intersection", "is_integer", "isalnum", "isalpha", "isdigit",
    "isnumeric", "isoformat", "issubset", "issuperset", "items", "join", "keys", "ljust", "lower", "lstrip",
    "month", "most_common", "partition", "removeprefix", "removesuffix", "replace", "rjust", "rpartition", "rsplit",
    "rstrip", "split", "splitlines", "startswith", "strftime", "strip", "time", "timestamp", "title",
    "total_seconds", "union", "upper", "values", "weekday", "year", "zfill",
})  # fmt: skip
"""Methods after which their object is what it was."""


def base(node: ast.AST) -> str | None:
    """The variable in which `a`, `a[0]` or `a.b[0].c` lies."""
    while isinstance(node, (ast.Subscript, ast.Attribute, ast.Starred)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def changed(*nodes: ast.AST) -> set[str]:
    """Names that are bound there, or whose object may be another after it."""
    found: set[str | None] = set()
    for node in walk(*nodes):
        match node:
            case ast.Name(ctx=ast.Store() | ast.Del()):
                found.add(node.id)
            case ast.Subscript(ctx=ast.Store() | ast.Del()) | ast.Attribute(ctx=ast.Store() | ast.Del()):
                found.add(base(node))
            case ast.Call(func=ast.Attribute(attr=method) as function):
                if method not in READING:
                    found.add(base(function))
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.add(node.name)
            case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar():
                found.add(node.name)
            case ast.MatchMapping():
                found.add(node.rest)
            case ast.alias():
                found.add(node.asname or node.name.partition(".")[0])
            case ast.arg():
                found.add(node.arg)
            case _:
                pass
    return {name for name in found if name}


def walk(*nodes: ast.AST) -> Iterator[ast.AST]:
    for node in nodes:
        yield from ast.walk(node)


def has(kinds: type[ast.AST] | tuple[type[ast.AST], ...], *nodes: ast.AST) -> bool:
    return any(isinstance(node, kinds) for node in walk(*nodes))


def jumps(body: list[ast.stmt], kinds: tuple[type[ast.stmt], ...]) -> bool:
    """Whether a statement of these kinds stands there that belongs to the loop or function with this body."""
    for node in body:
        if isinstance(node, kinds):
            return True
        inside = kinds
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if isinstance(node, (ast.For, ast.AsyncFor, ast.While)):  # `break` and `continue` in it are its own
            inside = tuple(kind for kind in kinds if kind is ast.Return)
            if jumps(node.orelse, kinds):
                return True
        parts = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
        parts += [part.body for part in (*getattr(node, "handlers", []), *getattr(node, "cases", []))]
        if any(jumps(part, inside) for part in parts):
            return True
    return False


class Names:
    """What the whole program says.

    Attributes:
        reads: the tools whose calls may be made ahead, and which the program leaves as they are.
        acts: names of what changes something, or lets time pass.
        strange: names that a shadow cannot know: functions of the program, what is imported from anywhere.
        imported: modules of which a shadow may use everything, and names that come from them.
        functions: functions of the program that stand once, at its top, and take their arguments by name.
    """

    def __init__(
        self, tree: ast.Module, reads: frozenset[str], tools: frozenset[str], acting_names: frozenset[str]
    ) -> None:
        bound = Counter(name for node in ast.walk(tree) for name in _bound(node))
        self.reads = frozenset(name for name in reads if name not in bound)
        self.acts = (tools - self.reads) | acting_names
        self._call_tool = "call_tool" not in bound
        self.safe = frozenset(name for name in BUILTINS if name not in bound)
        self.functions = {
            node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and bound[node.name] == 1
        }
        written = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        while found := {node.name for node in written if self.acting(*node.body)} - self.acts:
            self.acts |= found
        self.imported = {name for node in ast.walk(tree) for name in _imported(node) if bound[name] == 1}
        self.strange = {name for node in ast.walk(tree) for name in _strange(node)} | set(self.functions)

    def tool(self, node: ast.AST) -> str | None:
        """The read-only tool that is called here."""
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in self.reads:
                return name
            case ast.Call(func=ast.Name(id="call_tool"), args=[ast.Constant(value=str(name))]) if name in self.reads:
                return name if self._call_tool else None
            case _:
                return None

    def acting(self, *nodes: ast.AST) -> bool:
        """Whether something there may change what a tool reads. What this does not see is seen when it happens."""
        return has((ast.Await, ast.Yield, ast.YieldFrom), *nodes) or any(
            (isinstance(node, ast.Name) and node.id in self.acts)
            or (isinstance(node, ast.Attribute) and node.attr in self.acts)
            or (_calls(node) == "call_tool" and not self.tool(node))
            for node in walk(*nodes)
        )


def _calls(node: ast.AST) -> str | None:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None


def _bound(node: ast.AST) -> set[str]:
    """Names that this node itself binds."""
    if isinstance(node, (ast.Global, ast.Nonlocal)):
        return set(node.names)
    if isinstance(
        node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
    ):
        return {node.name} if node.name else set()
    if isinstance(node, (ast.Name, ast.alias, ast.arg, ast.MatchMapping)):
        return changed(node)
    return set()


def _imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.ImportFrom):
        return changed(*node.names) if node.module in MODULES else set()
    return {
        name
        for one in getattr(node, "names", [])
        if isinstance(one, ast.alias) and one.name in MODULES
        for name in changed(one)
    }


def _strange(node: ast.AST) -> set[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import():
            return {name for one in node.names for name in changed(one) if one.name not in MODULES}
        case ast.ImportFrom(module=module) if module not in MODULES:
            return changed(*node.names)
        case _:
            return set()
