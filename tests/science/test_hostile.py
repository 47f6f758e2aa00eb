"""A program in the science guest that talks to the host by itself, with bytes that belong to messages and with others."""

from __future__ import annotations

import pytest

from .conftest import Science

pytestmark = [pytest.mark.science, pytest.mark.asyncio(loop_scope="session")]

RAW = """
_host, json = __import__("_host"), __import__("json")
def raw(operation, data=None):
    text = operation if isinstance(operation, bytes) else json.dumps(operation).encode()
    try:
        return _host.call(text if data is None else text + b"\\0" + data)[:5_000].decode(errors="replace")
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
def ask(method, data=None, **arguments):
    return raw({"op": "call_host", "capability": "data", "method": method, "arguments": arguments}, data)
"""


async def seen(science: Science, program: str, **options: object) -> object:
    value = await science.value(RAW + program, **options)  # type: ignore[arg-type]
    assert await science.value("1 + 1") == 2
    return value


async def test_messages_of_any_bytes_are_refused(science: Science):
    answers = await seen(
        science,
        "[raw(m) for m in (b'', b'\\0', b'\\0' * 1000, b'\\xff\\xfe', b'{', b'[]', b'null', b'{}\\0{}', b'{\"op\": \"job\"' + b' ' * 5000, b'[' * 200_000)]",
    )
    assert isinstance(answers, list)
    assert all(answer.startswith("!") for answer in answers), answers


async def test_a_message_over_the_limit_is_refused_unread(science: Science):
    assert await seen(science, "raw(b'x' * (20 << 20))") == "!a message of over 8,388,608 characters"


async def test_bytes_where_none_belong_are_ignored_or_refused(science: Science):
    answers = await seen(
        science,
        "[raw({'op': 'write', 'stream': 'stdout', 'text': 'x'}, b'abc'), raw({'op': 'sleep', 'seconds': 0}, b'abc'),\n"
        " raw({'op': 'call_tool', 'name': 'no', 'arguments': {}, 'line': 0, 'batch_size': 1}, b'abc')[:2],\n"
        " ask('result', b'abc', number=1), ask('frame', b'abc', frame=0), ask('buffer', b'abc', frame=0, buffer=0, start=0)]",
    )
    assert answers[:3] == ["=null", "=null", "=1"]  # type: ignore[index]
    assert all("ToolFailed" in answer for answer in answers[3:])  # type: ignore[index]


async def test_only_buffers_of_the_variables_can_be_fetched(science: Science):
    import pandas as pd

    program = (
        "sizes = json.loads(ask('frame', frame=0)[1:])[0][2]['sizes']\n"
        "bad = [ask('frame', frame=n) for n in (-1, 1, 1 << 70, None, 'x', True)]\n"
        "bad += [ask('buffer', frame=0, buffer=b, start=s) for b, s in ((9, 0), (-1, 0), (0, -1), (0, 1 << 40), (0, None), (True, 0))]\n"
        "[len(sizes), ['ToolFailed' in one for one in bad], ask('buffer', frame=0, buffer=0, start=0)[:20]]"
    )
    found = await seen(science, program, inputs={"df": pd.DataFrame({"a": [1, 2]})})
    assert isinstance(found, list)
    assert found[0] == 2 and all(found[1]) and len(found[1]) == 12
    assert found[2].startswith("=[[")


async def test_outputs_that_do_not_fit_are_refused(science: Science):
    program = (
        "good = {'kind': 'array', 'shape': [2], 'values': {'as': 'numpy', 'dtype': '<i8', 'at': 0}}\n"
        "said = [ask('put_frame', name=n, description=good, sizes=s) for n, s in (('other', [16]), ('out', [-1]), ('out', ['x']),\n"
        "        ('out', [1 << 40]), ('out', None), ('out', [0] * 30_000), (5, [16]))]\n"
        "said.append(ask('frame_part', b'x' * 8, name='out', buffer=0))\n"
        "ask('put_frame', name='out', description=good, sizes=[16])\n"
        "said.append(ask('frame_part', b'x' * 17, name='out', buffer=0))\n"
        "said.append(ask('frame_part', b'x', name='out', buffer=1))\n"
        "said.append(ask('part', name='out', column=0, piece={'as': 'q', 'data': ''}))\n"
        "said.append(ask('done', name='out'))\n"
        "for description in (None, {}, {'kind': 'frame'}, {**good, 'shape': [1 << 40]}, {**good, 'values': {'as': 'objects', 'at': 0}}):\n"
        "    ask('put_frame', name='out', description=description, sizes=[16])\n"
        "    ask('frame_part', bytes(16), name='out', buffer=0)\n"
        "    said.append(ask('done', name='out'))\n"
        "out = 1\nsaid"
    )
    said = await seen(science, program, outputs=["out"])
    assert isinstance(said, list)
    assert len(said) == 17
    assert all("ToolFailed" in one for one in said), said
    assert not any("Traceback" in one or "codeact_kernel" in one for one in said)


async def test_what_is_handed_over_stays_within_the_limit(science: Science):
    result = await science.ask("out = np.zeros(60_000_000)", outputs=["out"])
    assert result.error is not None
    assert "out is larger than 256 MiB: assign less" in result.error.message or result.error.kind == "MemoryError"
    assert await science.value("1 + 1") == 2
