"""Run first in every guest: set up the guards, the connection to the worker, and the importer.

The host only reads this file and never runs it. The guards come first because they protect the imports that follow.
Nothing in the guest enforces a policy: a program can change everything here, so the host makes all decisions.
"""

import binascii
import builtins
import gc
import importlib
import importlib.machinery  # not `from`: its __getattr__ would import warnings, which does not exist yet
import json
import marshal
import select
import sys
import time
from collections.abc import Callable, Sequence
from types import CodeType, ModuleType
from typing import Any, NoReturn, cast

# The host sets these in front of this source: see `Connection` in guest/sources.py.
WHOLE = bool(globals()["WHOLE"])
HAS_LIBRARY = bool(globals()["HAS_LIBRARY"])
LIBRARY = sys.path[0].rpartition("/")[0] if HAS_LIBRARY else ""
"""The folder of the guest's own library, which no host has; empty if the guest has none."""
send: Callable[[str], str] = globals()["send"]
attached: list[bytes] = globals()["attached"]
# A guest-to-host message of a micro-VM holds 16 KiB, and a longer message aborts the guest. The message is quoted once
# more on its way, so an ASCII character takes at most two bytes and any other at most four: pieces stay below 8 KiB.
_ASCII_PIECE, _PIECE = 4_000, 2_000
# `json` would create these again at each call, which takes longer than a short message.
_encoder, _decoder = json.JSONEncoder(), cast("Any", json.JSONDecoder())
_chunks = cast("Any", json.encoder).c_make_encoder(
    None, _encoder.default, json.encoder.encode_basestring, None, ":", ",", False, False, False
)
_value_at = _decoder.scan_once  # it can start in the middle of a text; `decode` would need a copy


def host(op: str, **fields: Any) -> Any:
    """Send an operation to the worker, and return its decoded answer.

    The worker's `chunking.py` documents how both are split into pieces. The garbage collector is off meanwhile: a
    finalizer may print or call a tool, and its operation must not come between the pieces of another one.

    Raises:
        RuntimeError: the worker rejected the operation; the text is the reason.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _ask({"op": op, **fields})
    finally:
        if collecting:
            gc.enable()


def exchange(op: str, data: bytes = b"", **fields: Any) -> tuple[Any, bytes]:
    """Send an operation that bytes belong to, and return its answer with the bytes that belong to that.

    Only for a guest whose connection carries bytes.
    """
    attached[:] = [data] if data else []
    answer = host(op, **fields)
    return answer, attached.pop() if attached else b""


def _ask(operation: dict[str, Any]) -> Any:
    text = _as_text(operation)
    text.encode()  # raises for lone surrogates, which would abort the guest
    answer = _dispatch(text) if WHOLE else _in_pieces(text)
    if answer[0] == "=":
        return _with_floats(_value_at(answer, 1)[0], answer)
    pieces = [answer[1:]]
    while answer[0] == "+":
        answer = _dispatch('{"more": true}')
        pieces.append(answer[1:])
    joined = "".join(pieces)
    return _with_floats(json.loads(joined), joined)


def _with_floats(value: Any, text: str) -> Any:
    """Return the value of a JSON text with its tagged infinity and NaN restored."""
    if '"codeact:float"' not in text:
        return value
    from codeact_kernel.wire.jsonable import untag_floats

    return untag_floats(value)


def _as_text(value: dict[str, Any]) -> str:
    return "".join(_chunks(value, 0))


def _in_pieces(text: str) -> str:
    size = _ASCII_PIECE if text.isascii() else _PIECE
    start = 0
    while len(text) - start > size:
        _dispatch(_as_text({"at": start, "part": text[start : start + size]}))
        start += size
    return _dispatch(_as_text({"at": start, "last": text[start:]}))


def _dispatch(message: str) -> str:
    try:
        answer = send(message)
    except Exception as error:
        raise RuntimeError(str(getattr(error, "value", error))) from None
    if answer[0] == '"':  # a micro-VM quotes what the host function returned
        answer = json.loads(answer)
    if answer[0] == "!":
        raise RuntimeError(answer[1:])
    return answer


# -- guards: without them, each of these functions kills a micro-VM, hangs it, or returns wrong values ---

sleep_hooks: list[Any] = []


def _sleep(seconds: float, /) -> None:
    for flush in sleep_hooks:
        flush()
    host("sleep", seconds=max(0.0, float(seconds)))


def _refuse(*_: object, **__: object) -> NoReturn:
    raise OSError("not available in the sandbox")


def _no_input(*_: object) -> NoReturn:
    raise EOFError("there is no input in the sandbox: get the data from the tools")


class _NoInput:
    encoding = "utf-8"
    read = readline = readlines = __next__ = staticmethod(_no_input)

    def __iter__(self) -> "_NoInput":
        return self

    def isatty(self) -> bool:
        return False


_wall_clock = time.time  # `local_time` replaces time.time if a recorded turn is repeated
_seen = _wall_clock()
_elapsed = 0.0


def _clock() -> float:
    global _seen, _elapsed
    now = _wall_clock()
    _elapsed += max(0.0, now - _seen)  # if the host sets its clock back, this clock stands still for one reading
    _seen = now
    return _elapsed


def _clock_ns() -> int:
    return int(_clock() * 1e9)


time.sleep = _sleep
time.monotonic = time.perf_counter = time.process_time = _clock
time.monotonic_ns = time.perf_counter_ns = time.process_time_ns = _clock_ns
for _name in ("poll", "epoll"):
    if hasattr(select, _name):
        delattr(select, _name)
select.select = _refuse
builtins.input = _no_input
sys.breakpointhook = lambda *_, **__: None  # no debugger can attach
sys.stdin = _NoInput()  # type: ignore[assignment]


# -- the importer: modules that the stock guest lacks come from the host's pack ---


# The guest has neither sockets nor threads, so modules that need them get replacements that ask the host.
_PACKAGE = "codeact_kernel.guest.inside"
_FOLLOWED = {
    "asyncio": ".event_loop",
    "concurrent.futures": ".stdlib.executors",
    "locale": ".stdlib.locales",
    "tempfile": ".stdlib.temporary_files",
    "threading": ".stdlib.threads",
    "traceback": ".stdlib.tracebacks",
    "urllib.request": ".stdlib.urllib_request",
}
if HAS_LIBRARY:
    _FOLLOWED.update({"matplotlib.pyplot": ".show.figures", "socket": ".stdlib.sockets"})
else:
    _FOLLOWED["zoneinfo"] = ".stdlib.zone_data"


class PackImporter:
    """Find and load modules that only the pack has. It is last in `sys.meta_path`, so it shadows no other module."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        fields = host("module", name=name)
        if fields is None:
            return None
        spec = importlib.machinery.ModuleSpec(name, PackImporter, origin=fields["file"], is_package=fields["package"])  # type: ignore[arg-type]
        spec.loader_state = fields
        return spec

    @staticmethod
    def create_module(spec: importlib.machinery.ModuleSpec) -> None:
        return None

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        spec = module.__spec__
        assert spec is not None
        fields, spec.loader_state = spec.loader_state, None
        exec(_code(fields), module.__dict__)

    @staticmethod
    def get_source(name: str) -> str | None:
        return host("source", name=name)

    @staticmethod
    def is_package(name: str) -> bool:
        return bool(host("module", name=name)["package"])


def _code(fields: dict[str, Any]) -> CodeType:
    if "code" in fields:
        return marshal.loads(binascii.a2b_base64(fields["code"]))
    return compile(fields["source"], fields["file"], "exec", dont_inherit=True)


class Follower:
    """Load a replacement after its module. It is first in `sys.meta_path`, and finds modules by the other finders."""

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in _FOLLOWED:
            return None
        following = _FOLLOWED.pop(name)
        finders = [finder for finder in sys.meta_path if finder is not cls]
        spec = next((found for finder in finders if (found := finder.find_spec(name, path, target))), None)
        if spec is not None:
            spec.loader = cast("Any", FollowedLoader(spec.loader, following))
        return spec


class FollowedLoader:
    """A loader that loads a replacement after its module."""

    def __init__(self, loader: Any, following: str) -> None:
        self._loader = loader
        self._following = following

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        importlib.import_module(self._following, _PACKAGE)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


if not HAS_LIBRARY:
    sys.path.clear()  # the guest has no folders to search
sys.meta_path.insert(0, Follower)  # type: ignore[arg-type]
sys.meta_path.append(PackImporter)  # type: ignore[arg-type]
_module = ModuleType(f"{_PACKAGE}.bootstrap")
_module.__dict__.update(HAS_LIBRARY=HAS_LIBRARY, LIBRARY=LIBRARY, exchange=exchange, host=host, sleep_hooks=sleep_hooks)
sys.modules[_module.__name__] = _module
for _name in [name for name in _FOLLOWED if name in sys.modules]:  # it was loaded before this ran
    importlib.import_module(_FOLLOWED.pop(_name), _PACKAGE)
