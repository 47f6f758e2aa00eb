"""Stands between the kernel and a real worker, and damages what the worker says: `relay.py HOW AT COMMAND...`.

`AT` counts the worker's bytes. `cut` ends the pipe there, `garbage` adds bytes that are none of the worker's, `flip`
turns a bit, `drop` leaves a byte out, `again` says what came last twice, `stall` says nothing more. Standard library only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys


def main() -> None:
    how, at, *command = sys.argv[1:]
    start, seen = int(at), 0
    # A worker ends with the process that started it, which here is this one.
    configuration = {**json.loads(command[-1]), "parent": os.getpid()}
    worker = subprocess.Popen([*command[:-1], json.dumps(configuration)], stdin=0, stdout=subprocess.PIPE)
    assert worker.stdout is not None
    while data := os.read(worker.stdout.fileno(), 1 << 16):
        place = start - seen
        seen += len(data)
        if 0 <= place < len(data):
            data = damaged(how, data, place)
        elif how == "stall" and place < 0:
            continue
        _write(data)
        if how == "cut" and seen > start:
            os._exit(0)
    os._exit(worker.wait())


def damaged(how: str, data: bytes, place: int) -> bytes:
    before, after = data[:place], data[place:]
    match how:
        case "garbage":
            return before + bytes(range(0, 256, 3)) + after
        case "flip":
            return before + bytes([after[0] ^ 0x08]) + after[1:]
        case "drop":
            return before + after[1:]
        case "again":
            return data + data
        case _:
            return before


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    main()
