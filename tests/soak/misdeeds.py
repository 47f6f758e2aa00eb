"""Workers that are none: scripts that speak the protocol up to a point."""

from __future__ import annotations

__all__ = ["MISDEEDS"]

_SPEAKS = """
import json, os, struct, sys
def write(data):
    while data: data = data[os.write(1, data):]
def say(says, **fields):
    data = json.dumps({"says": says, **fields}).encode()
    write(struct.pack(">I", len(data)) + data)
def ready(): say("Ready", pid=1, layers=[], missing=[])
def call(n): say("CallTool", call=n, name="add", arguments={"a": 1}, line=0, batch_size=1)
def finished(**more): say("Finished", outcome={"failure": None, "value": 1, "text": "1", "is_json": True, "observed": [], **more}, state_lost=False)
def hear(): os.read(0, 65536)
def stay():
    while os.read(0, 65536): pass
"""
MISDEEDS = [
    f"{_SPEAKS}\n{deed}"
    for deed in (
        "sys.exit(3)",
        "write(b'\\xff' * 100_000); stay()",
        "ready(); sys.exit(0)",
        "ready(); ready(); stay()",
        "ready(); hear(); sys.exit(1)",
        "ready(); hear(); write(b'\\0\\0'); sys.exit(1)",
        "ready(); hear(); call(2); stay()",
        "ready(); hear(); call(1); finished(); stay()",
        "ready(); hear(); [call(n) for n in range(1, 99)]; stay()",
        "ready(); hear(); write(b'\\xff\\xff\\xff\\xff' * 9999); stay()",
        "ready(); hear(); say('Run', program='', tools={}, capabilities={}, keep=False); stay()",
        "ready(); hear(); say('Output', stream='stdout', text='x' * 9_000_000); stay()",
        "ready(); hear(); [say('Output', stream='stdout', text='x' * 9_000) for _ in range(99)]; stay()",
        "ready(); hear(); finished(value=[[[[1]]]] * 9, observed=[1]); stay()",
        "ready(); hear(); finished(); finished(); stay()",
        "ready(); hear(); call(1); os.close(0); os.close(1); import time; time.sleep(60)",
        "ready(); hear(); sys.stderr.write('e' * 1_000_000); sys.stderr.flush(); sys.exit(70)",
    )
]
