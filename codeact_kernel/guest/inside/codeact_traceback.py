"""Runs in the guest as `codeact_traceback`, once `traceback` is imported: tracebacks leave out our own frames."""

import traceback
from collections.abc import Callable, Iterator
from typing import Any

_module: Any = traceback


def _without_ours(walk: Callable[[Any], Iterator[Any]]) -> Callable[[Any], Iterator[Any]]:
    def walking(start: Any) -> Iterator[Any]:
        return (step for step in walk(start) if not step[0].f_code.co_filename.startswith("<codeact"))

    return walking


for _name in ("walk_tb", "walk_stack", "_walk_tb_with_full_positions"):
    setattr(_module, _name, _without_ours(getattr(_module, _name)))
