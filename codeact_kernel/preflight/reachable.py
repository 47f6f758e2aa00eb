"""Which functions of a program may run at all: a function that nobody calls does no harm, whatever stands in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from .program_facts import ProgramFacts, Scope, Use

__all__ = ["CallGraph"]

LOOKUPS = frozenset({"eval", "exec", "getattr", "globals", "locals", "vars"})
"""With one of these a program may find a function without naming it."""


class CallGraph:
    """The named functions of one program that its top level reaches. A function that is named where code runs counts as
    called, and so does every method of that name: the graph may hold too many functions, never too few."""

    def __init__(self, reading: ProgramFacts, *, counts: Callable[[Use], bool] = lambda use: True) -> None:
        """
        Args:
            counts: whether what is named at a place may be called from there.
        """
        self._children: dict[Scope | None, list[Scope]] = defaultdict(list)
        self._named: dict[Scope | None, set[str]] = defaultdict(set)
        self._by_name: dict[str, list[Scope]] = defaultdict(list)
        for function in reading.functions:
            around = function.parent.owner if function.parent is not None else None
            self._children[around].append(function)
            self._by_name[function.function].append(function)
        for use in filter(counts, (*reading.uses, *reading.attributes)):
            self._named[use.scope.owner].add(use.name)
        self._all = any(use.name in LOOKUPS for use in reading.uses)
        self._live: set[Scope | None] = set()
        if not self._all:
            self._follow()

    def runs(self, scope: Scope) -> bool:
        """Whether what stands in `scope` may run."""
        return self._all or scope.owner in self._live

    def _follow(self) -> None:
        seen: set[str] = set()
        todo: list[Scope | None] = [None]
        while todo:
            owner = todo.pop()
            if owner in self._live:
                continue
            self._live.add(owner)
            new = self._named[owner] - seen
            seen |= new
            todo += [one for one in self._children[owner] if one.is_decorated or one.function in seen]
            # One whose own surroundings do not run yet is looked at again when they do.
            todo += [one for name in new for one in self._by_name[name] if self._around(one) in self._live]

    def _around(self, function: Scope) -> Scope | None:
        return None if function.parent is None else function.parent.owner
