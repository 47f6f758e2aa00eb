"""Programs that go around the prelude and talk to the host function as they like: seen from the host, on every backend."""

from __future__ import annotations

import pytest

from .conftest import CONNECT, LIMITS, answers, program

pytestmark = pytest.mark.asyncio(loop_scope="session")

RAW = f"""
import json
{CONNECT}
def send(message, name="codeact"):
    try:
        answer = tools.dispatch(name, message if isinstance(message, str) else json.dumps(message))
    except Exception as error:
        return f"refused: {{getattr(error, 'value', error)}}"
    if answer[0] == '"':
        answer = json.loads(answer)
    return "refused: " + answer[1:] if answer[0] == "!" else answer

def raw(operation):
    text, at = operation if isinstance(operation, str) else json.dumps(operation), 0
    while len(text) - at > 4_000:
        refused = send({{"at": at, "part": text[at:at + 4_000]}})
        if refused != "=":
            return refused
        at += 4_000
    answer = send({{"at": at, "last": text[at:]}})
    return answer if answer[0] == "r" else answer[1:]
"""


def raw(text: str) -> str:
    return RAW + program(text)


WRONG = [
    "",
    "garbage",
    "{}",
    "[]",
    "null",
    '"job"',
    '{"op": "hello"}',
    '{"op": null}',
    '{"op": ["job"]}',
    '{"op": "__init__"}',
    '{"op": "call_tool"}',
    '{"op": "call_tool", "name": 1, "arguments": {}, "line": 0, "batch_size": 1}',
    '{"op": "call_tool", "name": "add", "arguments": [], "line": 0, "batch_size": 1}',
    '{"op": "call_tool", "name": "add", "arguments": {}, "line": true, "batch_size": 1}',
    '{"op": "call_tool", "name": "add", "arguments": {"a": NaN}, "line": 0, "batch_size": 1}',
    '{"op": "call_tool", "name": "add", "arguments": {"a": 1e999}, "line": 0, "batch_size": 1}',
    '{"op": "call_tool", "name": "add", "arguments": {"a": 1, "a": 2}, "line": 0, "batch_size": 1}',
    '{"op": "call_tool", "name": "add", "arguments": {"a": "\\ud800"}, "line": 0, "batch_size": 1}',
    '{"op": "call_tool", "name": "add", "arguments": {"a": '
    + "[" * 20_000
    + "]" * 20_000
    + '}, "line": 0, "batch_size": 1}',
    '{"op": "call_tool", "name": "add", "arguments": {"a": ' + "7" * 5_000 + '}, "line": 0, "batch_size": 1}',
    '{"op": "wait"}',
    '{"op": "wait", "calls": 1, "seconds": null}',
    '{"op": "wait", "calls": [], "seconds": null}',
    '{"op": "wait", "calls": [1], "seconds": null}',
    '{"op": "wait", "calls": [true, "1", null, -1], "seconds": 0}',
    '{"op": "wait", "calls": [1], "seconds": "1"}',
    '{"op": "sleep"}',
    '{"op": "sleep", "seconds": "1"}',
    '{"op": "write", "stream": "stdout"}',
    '{"op": "write", "stream": 1, "text": "x"}',
    '{"op": "module", "name": 1}',
    '{"op": "result"}',
    '{"op": "result", "failure": null, "value": 1, "text": 1, "is_json": true, "observed": []}',
    '{"op": "result", "failure": {}, "value": 1, "text": "1", "is_json": true, "observed": []}',
]


@pytest.mark.parametrize("operation", WRONG, ids=lambda operation: operation[:90] or "empty")
async def test_a_raw_operation_that_is_wrong_is_refused_and_the_run_goes_on(programs, operation):
    run = await programs.run(raw(f"refusal = raw({operation!r})\nprint(refusal)\nadd(1)"))
    assert run.value == 2
    assert run.stdout.startswith("refused: ")
    assert [call.arguments for call in run.calls] == [{"a": 1}]


@pytest.mark.parametrize("operation", WRONG, ids=lambda operation: operation[:90] or "empty")
async def test_a_wrong_operation_in_one_message_is_refused_and_the_run_goes_on(programs, operation):
    if programs.in_micro_vm and len(operation) > 8_000:
        pytest.skip("messages of a micro-VM have 16 KiB")
    run = await programs.run(raw(f"refusal = send({operation!r})\nprint(refusal)\nadd(1)"))
    assert run.value == 2
    assert run.stdout.startswith("refused: ")
    assert [call.arguments for call in run.calls] == [{"a": 1}]


async def test_an_operation_longer_than_any_may_be_is_refused_unread(programs):
    if programs.in_micro_vm:
        pytest.skip("messages of a micro-VM have 16 KiB")
    run = await programs.run(
        raw("""
        refusal = send('{"op": "write", "stream": "stdout", "text": "%s"}' % ("x" * (9 << 20)))
        [refusal, add(1)]
        """)
    )
    assert run.value == [f"refused: a message of over {LIMITS.frame_bytes:,} characters", 2]
    assert run.seen[0][0] == "call"


async def test_the_library_is_served_by_name_only_and_never_as_a_path(programs):
    run = await programs.run(
        raw("""
        names = ["../../../../etc/passwd", "/etc/passwd", "json\\x00", "..json", "json/decoder", "codeact_kernel.session", "", "x" * 10_000]
        [raw({"op": op, "name": name}) for name in names for op in ("module", "source")]
        """)
    )
    assert run.value == ["null"] * 16


async def test_only_one_host_function_exists(programs):
    run = await programs.run(raw("[send({}, name)[:9] for name in ('add', '', 'run', 'eval', 'codeact ')]"))
    assert run.value == ["refused: "] * 5


async def test_forged_call_ids_get_no_answer(programs):
    run = await programs.run(
        raw("""
        def wait(*calls):
            return raw({"op": "wait", "calls": calls, "seconds": None})
        first = json.loads(raw({"op": "call_tool", "name": "add", "arguments": {"a": 1}, "line": 1, "batch_size": 1}))
        [wait(first + 1), wait(first, 99), wait(first, first), wait(first)]
        """)
    )
    refused = "refused: no call [{}] waits for an answer"
    assert run.value == [refused.format(2), refused.format(99), "[[1,true,2]]", refused.format(1)]


async def test_numbers_too_large_for_a_clock_do_not_cost_the_worker(programs):
    run = await programs.run(
        raw("""
        big = "1" + "0" * 400
        call = json.loads(raw({"op": "call_tool", "name": "add", "arguments": {"a": 1}, "line": 10**100, "batch_size": 1}))
        [raw('{"op": "wait", "calls": [1], "seconds": %s}' % big), raw('{"op": "sleep", "seconds": -%s}' % big)]
        """)
    )
    assert run.value == ["[[1,true,2]]", "null"]


async def test_a_program_that_reports_its_own_result_gets_that_result_and_nothing_more(programs):
    run = await programs.run(
        raw("""
        result = {"failure": None, "value": {"forged": True}, "text": "forged", "is_json": True, "observed": []}
        raw({"op": "result", **result})
        print("after")
        for operation in ({"op": "result", **result, "value": 2}, {"op": "job"}, {"op": "sleep", "seconds": 0},
                          {"op": "call_tool", "name": "add", "arguments": {"a": 1}, "line": 0, "batch_size": 1}, {"op": "module", "name": "csv"}):
            assert raw(operation) == "refused: the run is over"
        add(1)
        """)
    )
    assert run.value == {"forged": True}
    assert run.seen == []


@pytest.mark.parametrize(
    "message",
    [
        "",
        "garbage",
        "null",
        "[]",
        '"last"',
        "{}",
        '{"last": "{}"}',
        '{"at": 0}',
        '{"at": 0, "part": 1}',
        '{"at": 0, "last": null}',
        '{"at": true, "last": "x"}',
        '{"at": 0, "part": "too short"}',
        '{"at": 1, "part": "' + "x" * 2_000 + '"}',
        '{"at": -1, "last": "x"}',
        '{"at": 1e0, "last": "x"}',
        '{"at": 0, "last": "\\ud800"}',
        '{"more": true}',
        '{"more": 1}',
        '{"at": ' + "[" * 4_000 + "]" * 4_000 + "}",
    ],
    ids=lambda message: message[:40] or "empty",
)
async def test_a_raw_message_that_is_wrong_is_refused_and_the_run_goes_on(programs, message):
    run = await programs.run(raw(f"refusal = send({message!r})\nprint(refusal)\nadd(1)"))
    assert run.value == 2
    assert run.stdout.startswith("refused: ")


async def test_an_operation_that_was_given_up_halfway_does_not_spoil_the_next(programs):
    run = await programs.run(
        raw('[send({"at": 0, "part": "left lying" * 100}), add(1), send({"at": 4, "last": "x"}), add(2)]')
    )
    assert run.value == ["=", 2, "refused: a piece at the wrong position", 3]


async def test_a_flood_of_raw_operations_is_bounded(programs):
    run = await programs.run(
        raw("""
        for _ in range(2_000):
            raw('{"op": "write", "stream": "stdout", "text": "%s"}' % ("x" * 1_000))
            send({"at": 0, "part": "x" * 5_000})
        at, piece = 0, "x" * 7_000
        while (answer := send({"at": at, "part": piece})) == "=":
            at += len(piece)
        [answer, at, add(1)]
        """)
    )
    assert isinstance(run.value, list)
    answer, gathered, added = run.value
    assert answer == f"refused: a message of over {LIMITS.frame_bytes:,} characters"
    assert LIMITS.frame_bytes - 7_000 < gathered <= LIMITS.frame_bytes
    assert added == 2
    assert len(run.stdout) <= LIMITS.output_characters + 100


async def test_what_a_program_replaces_is_back_in_the_next_turn(programs):
    run = await programs.run(
        program("""
        import builtins, sys
        def forged(*args, **arguments):
            return "forged"
        left_behind = call_tool = add = forged
        for name in ("codeact_kernel.guest.inside.tool_calls", "codeact_kernel.guest.inside.bootstrap", "codeact_kernel.guest.inside.runner"):
            module = sys.modules[name]
            for attribute in [key for key in vars(module) if not key.startswith("__")]:
                if name != "codeact_kernel.guest.inside.runner":
                    setattr(module, attribute, forged)
            del sys.modules[name]
        sys.meta_path.clear()
        builtins.print = builtins.dict = builtins.Exception = forged
        """)
    )
    assert run.outcome.failure is None or run.outcome.failure.kind in ("Crashed", "TypeError")
    await answers(programs)


async def test_a_guest_that_destroys_our_runner_is_one_clear_outcome(programs):
    run = await programs.run(
        "import sys\nvars(sys.modules['codeact_kernel.guest.inside.runner']).clear()\nsys.modules.clear()"
    )
    assert run.error == "Crashed: the program ended its sandbox without a result"
    await answers(programs)
