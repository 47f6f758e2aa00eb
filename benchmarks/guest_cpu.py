"""Programs that only compute: how much slower the embedded guest is than a native CPython, and what wasmtime's settings do.

    python benchmarks/guest_cpu.py [--native PYTHON] [--rounds 5] [--settings NAME ...] [--json FILE]

Each setting is compiled anew (10 s of processor time each). All of them run in turn, round by round, beside the native
Python, which is this one unless another is named; each time is the best of the rounds, each ratio is to the native one,
and the mean is geometric. Guests run in this process, without the worker's lockdown. `memory` is what one more guest
takes that is its own, and `fresh` the time to make one that is ready.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.metadata
import json
import math
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import wasmtime
from wasmtime import component as wasm

from codeact_kernel.bridge.messages import Run
from codeact_kernel.guest import Pack
from codeact_kernel.sandbox.backends import embedded_guest, guest_files
from codeact_kernel.sandbox.host_function import HostFunction
from codeact_kernel.settings import Limits

LOADS = {
    "loop of integers": "total = 0\nfor i in range(200_000):\n    total += i * i % 7\nanswer = total",
    "loop of floats": "x = 0.0\nfor i in range(200_000):\n    x = x * 0.5 + i\nanswer = round(x)",
    "calls and objects": "class P:\n    def __init__(self, x):\n        self.x = x\n    def get(self):\n        return self.x\nanswer = sum(P(i).get() for i in range(60_000))",
    "sorting": "rows = [(i * 7919) % 50_021 for i in range(50_000)]\nanswer = sum(sorted(rows, key=lambda v: -v)[:10])",
    "dicts": "d = {}\nfor i in range(80_000):\n    d[str(i % 5_000)] = d.get(str(i % 5_000), 0) + i\nanswer = max(d.values())",
    "strings": "answer = ' '.join(str(i) for i in range(60_000)).upper().replace('9', 'x').count('x')",
    "json": "import json\nrows = [{'a': i, 'b': str(i), 'c': [i, None]} for i in range(10_000)]\nanswer = len(json.loads(json.dumps(rows)))",
    "regular expressions": "import re\nanswer = len(re.findall(r'(\\d+)-(\\w)', '12-a 345-b ' * 10_000))",
    "csv and statistics": "import csv, io, statistics\ntext = 'a,b\\n' + '1,2.5\\n' * 8_000\nanswer = round(statistics.fmean(float(r['b']) for r in csv.DictReader(io.StringIO(text))), 3)",
    "hashing": "import hashlib\nanswer = hashlib.sha256(b'x' * 4_000_000).hexdigest()[:8]",
    "large lists": "rows = list(range(1_000_000))\nanswer = sum(rows[::7]) + len([r for r in rows if r & 1])",
}
CLOCKED = "import time\n_start = time.time()\n{load}\n_took = time.time() - _start\n[_took, answer]"
NATIVE = (
    "import json, sys\nspace = {}\nexec(sys.stdin.read(), space)\nprint(json.dumps([space['_took'], space['answer']]))"
)

Config = wasmtime.Config
ffi: Any = getattr(wasmtime, "_ffi")  # noqa: B009  # some settings have no name in wasmtime-py


def _flag(name: str, value: str) -> Callable[[Config], None]:
    return lambda config: config.cranelift_flag_set(name, value)


def _set(name: str, value: Any) -> Callable[[Config], None]:
    return lambda config: setattr(config, name, value)


def _unnamed(name: str, value: Any) -> Callable[[Config], None]:
    return lambda config: getattr(ffi, f"wasmtime_config_{name}_set")(config.ptr(), value)


def _small_memory(config: Config) -> None:
    config.memory_reservation, config.memory_guard_size = 0, 0
    config.memory_reservation_for_growth = 64 << 20


SETTINGS: dict[str, list[Callable[[Config], None]]] = {
    "as it is": [],
    "optimised for speed and size": [_set("cranelift_opt_level", "speed_and_size")],
    "not optimised": [_set("cranelift_opt_level", "none")],
    "single-pass register allocator": [_unnamed("cranelift_regalloc_algorithm", 1)],
    "bounds checked: no reservation, no guard": [_small_memory],
    "no signals": [_set("signals_based_traps", False)],
    "epochs": [_set("epoch_interruption", True)],
    "fuel": [_set("consume_fuel", True)],
    "no Spectre mitigations": [
        _flag("enable_heap_access_spectre_mitigation", "false"),
        _flag("enable_table_access_spectre_mitigation", "false"),
    ],
    "no unwind tables": [_set("native_unwind_info", False)],
    "memory copied, not mapped": [_unnamed("memory_init_cow", False)],
    "huge pages for memory": [_unnamed("memory_init_cow", False)],
    "huge pages for code": [],
}


def _maps() -> list[tuple[int, int, str, str]]:
    found = re.findall(r"^(\w+)-(\w+) (\S+) \S+ \S+ \S+ *(.*)$", Path("/proc/self/maps").read_text(), re.MULTILINE)
    return [(int(start, 16), int(end, 16), rights, name) for start, end, rights, name in found]


def _collapse(start: int, end: int) -> bool:
    """Have the kernel make huge pages of what is there now. Linux 6.1."""
    start, end = -(-start // (2 << 20)) * (2 << 20), end // (2 << 20) * (2 << 20)
    if end <= start:
        return False
    return not ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), 25)


def _own_memory() -> int:
    text = Path("/proc/self/smaps_rollup").read_text()
    return sum(int(kb) for kb in re.findall(r"^Anonymous: +(\d+)", text, re.MULTILINE)) << 10


class NoCalls:
    def write(self, stream: str, text: str) -> None:
        sys.stderr.write(text)


class Guest:
    """One setting: its compiled guest, and one instance of it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, made = name, SETTINGS[name]

        def engine() -> wasmtime.Engine:
            config = Config()
            config.max_wasm_stack = 1 << 20
            for change in made:
                change(config)
            return wasmtime.Engine(config)

        file = folder / f"{len(list(folder.iterdir()))}.cwasm"
        start = time.perf_counter()
        file.write_bytes(bytes(wasm.Component(engine(), guest_files.component().read_bytes()).serialize()))
        self.compiled, self.size = time.perf_counter() - start, file.stat().st_size
        file.chmod(0o600)
        limits = Limits(memory_bytes=512 << 20)
        self.function = HostFunction(NoCalls(), Pack.open(), limits)  # type: ignore[arg-type]  # it makes no calls
        before, usual = _maps(), embedded_guest.create_engine
        embedded_guest.create_engine = engine
        store = wasmtime.Store
        if name in ("fuel", "epochs"):
            embedded_guest.Store = _endless(name)  # type: ignore[misc]
        try:
            another = embedded_guest.EmbeddedGuest(str(file), self.function, limits)
            owned = _own_memory()
            self.backend = embedded_guest.EmbeddedGuest(str(file), self.function, limits)
            self.memory = _own_memory() - owned
            del another
            fresh: list[float] = []
            for _ in range(5):
                start = time.perf_counter()
                self.backend.reset()
                fresh.append(time.perf_counter() - start)
            self.fresh = min(fresh)
        finally:
            embedded_guest.create_engine, embedded_guest.Store = usual, store  # type: ignore[misc]
        self.huge = self._huge_pages(str(file), before) if name.startswith("huge") else None

    def _huge_pages(self, file: str, before: list[tuple[int, int, str, str]]) -> bool:
        new = [one for one in _maps() if one not in before and one[1] - one[0] > 4 << 20]
        if self.name == "huge pages for code":
            new = [one for one in new if "x" in one[2] and one[3] == file]
        else:
            new = [one for one in new if one[2] == "rw-p" and not one[3]]
        return max([_collapse(start, end) for start, end, *_ in new], default=False)

    def run(self, load: str) -> tuple[float, Any]:
        self.function.begin(Run(CLOCKED.format(load=load), {}, {}, True), 1)
        died = self.backend.run()
        outcome = died or self.function.end()
        if outcome is None or outcome.failure is not None:
            raise RuntimeError(f"{self.name}: {outcome}")
        took, answer = outcome.value  # type: ignore[misc]
        return float(took), answer  # type: ignore[arg-type]


def _endless(name: str) -> Callable[[wasmtime.Engine], wasmtime.Store]:
    def make(engine: wasmtime.Engine) -> wasmtime.Store:
        store = wasmtime.Store(engine)
        if name == "fuel":
            store.set_fuel(1 << 62)
        else:
            store.set_epoch_deadline(1 << 40)
        return store

    return make


def natively(python: str, load: str) -> tuple[float, Any]:
    done = subprocess.run(
        [python, "-I", "-c", NATIVE], input=CLOCKED.format(load=load), capture_output=True, text=True, check=True
    )
    took, answer = json.loads(done.stdout)
    return took, answer


def measure(names: list[str], python: str, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o700)
        guests: list[Guest] = []
        for name in names:
            try:
                guests.append(Guest(name, Path(folder)))
            except Exception as error:  # a setting that this machine or this wasmtime does not have
                print(f"{name}: left out, {type(error).__name__}: {str(error).splitlines()[-1]}", flush=True)
        best: dict[tuple[str, str], float] = {}
        for _ in range(rounds):
            for load, text in LOADS.items():
                took, expected = natively(python, text)
                times = {"native": took}
                for guest in guests:
                    times[guest.name], answer = guest.run(text)
                    assert answer == expected, (guest.name, load, answer, expected)
                for arm, seconds in times.items():
                    best[arm, load] = min(seconds, best.get((arm, load), math.inf))
    rows: list[dict[str, Any]] = []
    for guest in guests:
        ratios = {load: best[guest.name, load] / best["native", load] for load in LOADS}
        mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
        rows.append(
            {"setting": guest.name, "mean": mean, "ratios": ratios, "fresh": guest.fresh, "memory": guest.memory}
            | {"compile": guest.compiled, "size": guest.size, "huge_pages": guest.huge}
        )
    return {"native_seconds": {load: best["native", load] for load in LOADS}, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--native", default=sys.executable, help="the Python to compare with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--settings", nargs="*", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--json", help="also write the figures to this file")
    options = parser.parse_args()
    version = subprocess.run([options.native, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    found = measure(options.settings, options.native, options.rounds)
    print(f"{platform.machine()}, {os.cpu_count()} cores; native: CPython {version}; the guest: CPython 3.14\n")
    print(f"{'setting':<42} {'slower':>7} {'fresh ms':>9} {'own MB':>7} {'file MB':>8} {'compile s':>10}")
    for row in found["rows"]:
        sizes = f"{row['memory'] / 1e6:>7.1f} {row['size'] / 1e6:>8.1f} {row['compile']:>10.1f}"
        print(f"{row['setting']:<42} {row['mean']:>6.2f}x {row['fresh'] * 1e3:>9.1f} {sizes}", row["huge_pages"] or "")
    print(f"\n{'work':<42} {'native ms':>9}  slower in the guest as it is")
    for load, seconds in found["native_seconds"].items():
        print(f"{load:<42} {seconds * 1e3:>9.1f}  {found['rows'][0]['ratios'][load]:.2f}x")
    if options.json:
        facts = {"native": version, "wasmtime": importlib.metadata.version("wasmtime"), "rounds": options.rounds}
        Path(options.json).write_text(json.dumps({**facts, **found}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
