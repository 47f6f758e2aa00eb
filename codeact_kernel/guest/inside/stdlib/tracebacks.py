"""Leave our own frames out of tracebacks. The importer loads this module after `traceback`."""

import traceback
from collections.abc import Callable, Iterator
from typing import Any

_module: Any = traceback
_RUNNER = "<codeact runner>"


def _skip_our_frames(walk: Callable[[Any], Iterator[Any]]) -> Callable[[Any], Iterator[Any]]:
    def walking(start: Any) -> Iterator[Any]:
        for step in walk(start):
            file = step[0].f_code.co_filename
            if file == _RUNNER and walk is _walk_stack:
                return  # the frames below run the guest
            if not file.startswith("<codeact"):
                yield step

    return walking


_walk_stack = traceback.walk_stack


for _name in ("walk_tb", "walk_stack", "_walk_tb_with_full_positions"):
    setattr(_module, _name, _skip_our_frames(getattr(_module, _name)))
