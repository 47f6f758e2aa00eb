"""The talk between host and worker: messages as frozen dataclasses, a protocol as a table, strict JSON. No I/O."""
