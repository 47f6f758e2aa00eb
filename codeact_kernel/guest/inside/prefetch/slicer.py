"""Finds loops whose calls can be made ahead, and writes their shadows. Pure.

The shadow of a loop is a generator function for one of its items: what of the body leads to a call of a read-only tool.
It runs on copies, before the loop does; a call in it is a `yield` of what is wanted, a list of generators is a `yield`
of what may go on side by side. The loop itself stays as it is, but for one thing: its items go through `ahead`.

    for user in users:                         def shadow_1(item__):
        for order in orders(user["id"]):           user = item__
            total += cost(order["n"])      →       items_2__ = list((yield ("orders", [user["id"]], {}, 2)))
                                                   def shadow_2(item__):
                                                       order = item__
                                                       yield ("cost", [order["n"]], {}, 3)
                                                   yield [shadow_2(item__) for item__ in items_2__]
"""

import ast
from typing import Any

from .ast_tools import ITEM, as_loop, copied, function, label, load, place
from .program_facts import EAGER, Names, changed, has, jumps, walk
from .slice_statements import Walk

AHEAD = "__codeact_ahead__"
_SIDE_BY_SIDE = 1_000
"""Items of an inner loop."""
_THROUGH = ("enumerate", "zip", "reversed")


class Shadows:
    """The shadows of one program.

    Attributes:
        text: a module with a generator function for each loop.
        functions: their names, by the places of the loops.
        covers: for each loop, those inside whose calls its own shadow makes.
        names: what the shadows read.
    """

    def __init__(self, tree: ast.Module, filename: str, facts: Names) -> None:
        self.facts = facts
        self.functions: dict[str, str] = {}
        self.covers: dict[str, set[str]] = {}
        self.text = ast.Module([], [])
        self.helpers: set[str] = set()
        self._count = 0
        self._inside: set[str] = set()
        self._loops_of: dict[str, set[str]] = {}
        label(tree, filename)
        for node in self.facts.functions.values():
            self._helper(node)
        self.tree = _Rewriter(self).visit(tree) if self.facts.reads else tree
        self.names = {node.id for node in ast.walk(self.text) if isinstance(node, ast.Name)}

    # -- which loops -------------------------------------------------------------------------------------------

    def wanted(self, loop: ast.For) -> bool:
        """Whether calls in the loop can be made ahead, as far as its text tells."""
        return (
            any(map(self.leads_to_a_call, walk(*loop.body)))
            and not self.facts.acting(loop)
            and not jumps(loop.body, (ast.Break, ast.Return))
            and not loop.orelse
        )

    def leads_to_a_call(self, node: ast.AST) -> bool:
        helper = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self.helpers
        return helper or self.facts.tool(node) is not None

    def make(self, loop: ast.For) -> bool:
        """Write the shadow of a loop of the program; whether it calls anything."""
        self._inside = set()
        shadow = self._shadow(loop, self.fresh("shadow"), set())
        if not has((ast.Yield, ast.YieldFrom), *shadow.body[2:]):
            return False
        self.functions[place(loop)] = shadow.name
        self.covers[place(loop)] = self._inside
        self.text.body.append(shadow)
        return True

    def _shadow(self, loop: ast.For, name: str, unknown: set[str]) -> ast.FunctionDef:
        item = ast.Assign([loop.target], load(ITEM))
        inside = (unknown | changed(*loop.body)) - changed(loop.target)
        body, _, _ = Walk(self, top=True).statements(loop.body, inside)
        return function(name, [ITEM], [item, *body])

    def _helper(self, node: ast.FunctionDef) -> None:
        """The same for a function of the program, if all of it can be kept."""
        arguments = node.args
        plain = not (arguments.vararg or arguments.kwarg or arguments.posonlyargs or node.decorator_list)
        defaults = [*arguments.defaults, *(one for one in arguments.kw_defaults if one)]
        if not plain or self.facts.acting(*node.body) or not all(isinstance(one, ast.Constant) for one in defaults):
            return
        self._inside = set()
        unknown = changed(*node.body) - changed(arguments)
        body, _, exact = Walk(self).statements(node.body, unknown)
        if exact:
            made = function(f"helper_{node.name}", [], body)
            made.args = copied(arguments)
            for one in (*made.args.args, *made.args.kwonlyargs):
                one.annotation = None  # it would be evaluated, and may name what is not there
            self.helpers.add(node.name)
            self._loops_of[node.name] = self._inside
            self.text.body.append(made)

    # -- for the walks -----------------------------------------------------------------------------------------

    def fresh(self, name: str) -> str:
        self._count += 1
        return f"{name}_{self._count}__"

    def covered(self) -> set[str]:
        return set(self._inside)

    def cover(self, places: set[str], *, only: bool = False) -> None:
        self._inside = places if only else self._inside | places

    def loops_of(self, helper: str) -> set[str]:
        return self._loops_of[helper]

    def side_by_side(self, loop: ast.For, items: str, unknown: set[str]) -> list[ast.stmt]:
        """The shadows of an inner loop's items, all at once."""
        self.cover({place(loop)})
        shadow = self._shadow(loop, self.fresh("shadow"), unknown)
        calls = f"yield [{shadow.name}({ITEM}) for {ITEM} in {items}[:{_SIDE_BY_SIDE}]]"
        return [shadow, *ast.parse(calls).body]


class _Rewriter(ast.NodeTransformer):
    """Sends the items of loops through `ahead`: the one change to the program itself."""

    def __init__(self, shadows: Shadows) -> None:
        self.shadows = shadows
        self.eager: set[int] = set()

    def visit_For(self, node: ast.For) -> ast.For:
        if self.shadows.wanted(node) and self.shadows.make(node):
            node.iter = self._through(node.iter, place(node))
        self.generic_visit(node)
        return node

    def _comprehension(self, node: Any) -> ast.AST:
        loop = as_loop(node, ast.Expr)
        lazy = isinstance(node, ast.GeneratorExp) and id(node) not in self.eager
        if not lazy and self.shadows.wanted(loop) and self.shadows.make(loop):
            node.generators[0].iter = self._through(node.generators[0].iter, place(node))
        self.generic_visit(node)
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id in EAGER & self.shadows.facts.safe:
            self.eager = self.eager | {id(one) for one in node.args}
        if isinstance(node.func, ast.Attribute) and node.func.attr == "join":
            self.eager = self.eager | {id(one) for one in node.args}
        self.generic_visit(node)
        return node

    def _through(self, items: ast.expr, loop: str) -> ast.expr:
        first = ast.Constant(loop)
        match items:
            case ast.Call(func=ast.Name(id=name)) if name in _THROUGH and name in self.shadows.facts.safe:
                through = ast.keyword("through", items.func)
                made = ast.Call(load(AHEAD), [first, *items.args], [through, *items.keywords])
            case _:
                made = ast.Call(load(AHEAD), [first, items], [])
        return ast.copy_location(made, items)
