"""Find the loops whose calls can be prefetched, and write their program slices.

The slice of a loop is a generator function for one item: it contains the parts of the body that lead to a call of a
read-only tool. It runs on copies, before the loop does. A call in it is a `yield` of the tool and its arguments; a
`yield` of a list of generators lets these run in parallel. The loop itself has one change: its items go through
`prefetch`.

    for user in users:                         def slice_1(item__):
        for order in orders(user["id"]):           user = item__
            total += cost(order["n"])      →       items_2__ = list((yield ("orders", [user["id"]], {}, 2)))
                                                   def slice_2(item__):
                                                       order = item__
                                                       yield ("cost", [order["n"]], {}, 3)
                                                   yield [slice_2(item__) for item__ in items_2__]
"""

import ast
from typing import Any

from .ast_tools import ITEM, copy_tree, get_place, label_loops, make_generator, make_load, to_loop
from .program_facts import CONSUMERS, ProgramFacts, contains, find_changed_names, has_jump, walk_all
from .slice_statements import SliceBuilder

PREFETCH = "__codeact_prefetch__"
_MAX_PARALLEL_ITEMS = 1_000
"""Items of an inner loop whose slices run in parallel."""
_WRAPPERS = ("enumerate", "zip", "reversed")


class Slicer:
    """Write the slices of one program.

    Attributes:
        module: a module with a generator function for each loop.
        slice_names: the names of these functions, by the places of the loops.
        inner_loops: for each loop, the places of the loops inside it whose calls its own slice makes.
        read_names: the names that the slices read.
    """

    def __init__(self, tree: ast.Module, filename: str, facts: ProgramFacts) -> None:
        self.facts = facts
        self.slice_names: dict[str, str] = {}
        self.inner_loops: dict[str, set[str]] = {}
        self.module = ast.Module([], [])
        self.helpers: set[str] = set()
        self._count = 0
        self._covered: set[str] = set()
        self._loops_of: dict[str, set[str]] = {}
        label_loops(tree, filename)
        for node in self.facts.functions.values():
            self._slice_helper(node)
        self.tree = _Rewriter(self).visit(tree) if self.facts.read_only_tools else tree
        self.read_names = {node.id for node in ast.walk(self.module) if isinstance(node, ast.Name)}

    # -- which loops -------------------------------------------------------------------------------------------

    def can_prefetch(self, loop: ast.For) -> bool:
        """Return whether the calls of the loop can be prefetched, as far as its text shows."""
        return (
            any(map(self.has_call, walk_all(*loop.body)))
            and not self.facts.has_side_effects(loop)
            and not has_jump(loop.body, (ast.Break, ast.Return))
            and not loop.orelse
        )

    def has_call(self, node: ast.AST) -> bool:
        helper = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self.helpers
        return helper or self.facts.find_tool(node) is not None

    def slice_loop(self, loop: ast.For) -> bool:
        """Write the slice of a loop of the program, and return whether the slice calls a tool."""
        self._covered = set()
        generator = self._build_slice(loop, self.make_name("slice"), set())
        if not contains((ast.Yield, ast.YieldFrom), *generator.body[2:]):
            return False
        self.slice_names[get_place(loop)] = generator.name
        self.inner_loops[get_place(loop)] = self._covered
        self.module.body.append(generator)
        return True

    def _build_slice(self, loop: ast.For, name: str, unknown: set[str]) -> ast.FunctionDef:
        item = ast.Assign([loop.target], make_load(ITEM))
        inside = (unknown | find_changed_names(*loop.body)) - find_changed_names(loop.target)
        body, _, _ = SliceBuilder(self, is_loop_body=True).build(loop.body, inside)
        return make_generator(name, [ITEM], [item, *body])

    def _slice_helper(self, node: ast.FunctionDef) -> None:
        """Write the same generator function for a function of the program, if the slice can keep all of it."""
        arguments = node.args
        is_special = arguments.vararg or arguments.kwarg or arguments.posonlyargs or node.decorator_list
        defaults = [*arguments.defaults, *(default for default in arguments.kw_defaults if default)]
        if is_special or not all(isinstance(default, ast.Constant) for default in defaults):
            return
        if self.facts.has_side_effects(*node.body):
            return
        self._covered = set()
        unknown = find_changed_names(*node.body) - find_changed_names(arguments)
        body, _, is_exact = SliceBuilder(self).build(node.body, unknown)
        if is_exact:
            generator = make_generator(f"helper_{node.name}", [], body)
            generator.args = copy_tree(arguments)
            for parameter in (*generator.args.args, *generator.args.kwonlyargs):
                parameter.annotation = None  # it would be evaluated, and the slice may not know its names
            self.helpers.add(node.name)
            self._loops_of[node.name] = self._covered
            self.module.body.append(generator)

    # -- for the slice builders --------------------------------------------------------------------------------

    def make_name(self, name: str) -> str:
        self._count += 1
        return f"{name}_{self._count}__"

    def get_covered(self) -> set[str]:
        return set(self._covered)

    def cover(self, places: set[str], *, replace: bool = False) -> None:
        self._covered = places if replace else self._covered | places

    def get_loops(self, helper: str) -> set[str]:
        return self._loops_of[helper]

    def slice_in_parallel(self, loop: ast.For, items: str, unknown: set[str]) -> list[ast.stmt]:
        """Write the slice of an inner loop, and return it with the statement that runs it for all items in parallel."""
        self.cover({get_place(loop)})
        generator = self._build_slice(loop, self.make_name("slice"), unknown)
        statement = f"yield [{generator.name}({ITEM}) for {ITEM} in {items}[:{_MAX_PARALLEL_ITEMS}]]"
        return [generator, *ast.parse(statement).body]


class _Rewriter(ast.NodeTransformer):
    """Send the items of loops through `prefetch`. This is the only change to the program itself."""

    def __init__(self, slicer: Slicer) -> None:
        self.slicer = slicer
        self.consumed: set[int] = set()

    def visit_For(self, node: ast.For) -> ast.For:
        if self.slicer.can_prefetch(node) and self.slicer.slice_loop(node):
            node.iter = self._prefetch_items(node.iter, get_place(node))
        self.generic_visit(node)
        return node

    def _rewrite_comprehension(self, node: Any) -> ast.AST:
        loop = to_loop(node, ast.Expr)
        lazy = isinstance(node, ast.GeneratorExp) and id(node) not in self.consumed
        if not lazy and self.slicer.can_prefetch(loop) and self.slicer.slice_loop(loop):
            node.generators[0].iter = self._prefetch_items(node.generators[0].iter, get_place(node))
        self.generic_visit(node)
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _rewrite_comprehension

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id in CONSUMERS & self.slicer.facts.safe_builtins:
            self.consumed = self.consumed | {id(arg) for arg in node.args}
        if isinstance(node.func, ast.Attribute) and node.func.attr == "join":
            self.consumed = self.consumed | {id(arg) for arg in node.args}
        self.generic_visit(node)
        return node

    def _prefetch_items(self, items: ast.expr, loop: str) -> ast.expr:
        first = ast.Constant(loop)
        match items:
            case ast.Call(func=ast.Name(id=name)) if name in _WRAPPERS and name in self.slicer.facts.safe_builtins:
                wrapper = ast.keyword("wrapper", items.func)
                call = ast.Call(make_load(PREFETCH), [first, *items.args], [wrapper, *items.keywords])
            case _:
                call = ast.Call(make_load(PREFETCH), [first, items], [])
        return ast.copy_location(call, items)
