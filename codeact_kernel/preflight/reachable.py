"""Find the functions of a program that may run: problems in a function that is never called do no harm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from .program_facts import ProgramFacts, Scope, Use

__all__ = ["CallGraph"]

LOOKUPS = frozenset({"eval", "exec", "getattr", "globals", "locals", "vars"})
"""Builtins with which a program can find a function without naming it."""


class CallGraph:
    """The named functions of one program that its top level reaches.

    A function counts as called if running code names it, and so does every method of that name: the graph may contain
    too many functions, but never too few.
    """

    def __init__(self, facts: ProgramFacts, *, counts: Callable[[Use], bool] = lambda use: True) -> None:
        """
        Args:
            counts: Whether a function that is named at a place may be called from there.
        """
        self._children: dict[Scope | None, list[Scope]] = defaultdict(list)
        self._named: dict[Scope | None, set[str]] = defaultdict(set)
        self._by_name: dict[str, list[Scope]] = defaultdict(list)
        for function in facts.functions:
            around = function.parent.owner if function.parent is not None else None
            self._children[around].append(function)
            self._by_name[function.function].append(function)
        for use in filter(counts, (*facts.uses, *facts.attributes)):
            self._named[use.scope.owner].add(use.name)
        self._all = any(use.name in LOOKUPS for use in facts.uses)
        self._live: set[Scope | None] = set()
        if not self._all:
            self._follow()

    def runs(self, scope: Scope) -> bool:
        """Whether code in `scope` may run."""
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
            children = self._children[owner]
            todo += [function for function in children if function.is_decorated or function.function in seen]
            # A function inside one that does not run yet is examined again when that one runs.
            named = [function for name in new for function in self._by_name[name]]
            todo += [function for function in named if self._enclosing(function) in self._live]

    def _enclosing(self, function: Scope) -> Scope | None:
        return None if function.parent is None else function.parent.owner
