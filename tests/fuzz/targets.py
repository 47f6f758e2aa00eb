"""Every place where bytes of a guest, a worker or a model are first read, as a function of bytes.

A target returns, or raises because a promise is broken; what it promises is its docstring. Inputs that each of them
has reached something new with are in `corpus/`; `scripts/fuzz` looks for more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from . import bridge, capabilities, shown

__all__ = ["CORPUS", "TARGETS"]

CORPUS = Path(__file__).with_name("corpus")
TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "strict_json": bridge.strict_json_target,
    "host": bridge.host_target,
    "worker": bridge.worker_target,
    "hostfunction": bridge.hostfunction_target,
    "card": shown.card_target,
    "prose": shown.prose_target,
    "show": shown.show_target,
    "received": capabilities.received_target,
    "frame": capabilities.frame_target,
    "data": capabilities.data_target,
    "files": capabilities.files_target,
    "url": capabilities.url_target,
    "answer": capabilities.answer_target,
    "arguments": capabilities.arguments_target,
}
