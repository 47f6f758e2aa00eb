from __future__ import annotations

import pytest

from .conftest import Notebook

DROP = '''
dropped = []

@tool(approval_mode="always_require")
def drop(table: str) -> str:
    """Drop a table."""
    dropped.append(table)
    return f"dropped {table}"

@tool(approval_mode="always_require")
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"
'''
CAUGHT = """
said = []
for name in {names!r}:
    try:
        said.append(drop(table=name))
    except ToolDenied as error:
        said.append(str(error))
said
""".strip()


def caught(*names: str) -> str:
    return CAUGHT.format(names=names)


@pytest.fixture
def gated(nb):
    nb.do(DROP)
    return nb


def test_the_question_shows_the_call_and_yes_lets_it_run_once(gated):
    cell = gated.ask("[drop(table='old'), drop(table='older')]", answers=["y", "yes"])
    assert gated.get("codeact.results[-1].value, dropped") == (["dropped old", "dropped older"], ["old", "older"])
    first, second = cell.questions
    assert first.startswith('Allow drop(table="old") (line 1)?')
    assert second.startswith('Allow drop(table="older") (line 1)?')
    assert gated.get("[(c.decision.allowed, c.decision.by) for c in codeact.results[-1].calls]") == [(True, "user")] * 2


def test_the_card_with_the_program_is_there_before_the_question(gated):
    gated.script("```python\ndrop(table='old')\n```")
    sent = gated.send("%%codeact\nGo.", allow_stdin=True)
    gated.wait_for(sent, "Allow drop(")
    gated.wait_for(sent, "    drop(table='old')")
    gated.client.input("n")
    gated.finished(sent)


@pytest.mark.parametrize("answer", ["n", "no", "N", "", "  "])
def test_no_or_nothing_denies_and_the_program_can_catch_it(gated, answer):
    gated.ask(caught("old"), answers=[answer])
    assert gated.get("codeact.results[-1].value, dropped") == (["the user denied drop"], [])


def test_anything_else_is_the_reason_that_the_program_is_told(gated):
    cell = gated.ask(caught("old"), answers=["only after the backup"])
    assert gated.get("codeact.results[-1].value, dropped") == (["only after the backup"], [])
    assert "only after the backup" in cell.text


def test_a_denial_that_is_not_caught_ends_the_program_with_a_sentence(gated):
    cell = gated.ask("drop(table='old')", options="--max-retries 0", answers=["n"])
    assert cell.errors == ["The prompt has no result: see above."]
    assert "You denied drop. Run the cell again to be asked again." in cell.text
    assert gated.get("dropped") == []


def test_for_the_session_asks_once_and_for_this_tool_alone(gated):
    cell = gated.ask("[drop(table='a'), drop(table='b'), pay(amount=1)]", answers=["s", "y"])
    assert len(cell.questions) == 2
    assert cell.questions[1].startswith("Allow pay(")
    assert gated.ask("drop(table='c')", answers=[]).questions == []
    assert gated.get("dropped") == ["a", "b", "c"]
    assert "drop" in gated.do("%codeact status").stdout.partition("allowed")[2]


def test_a_reset_forgets_what_was_allowed_for_the_session(gated):
    gated.ask("drop(table='a')", answers=["s"])
    gated.do("%codeact reset")
    cell = gated.ask(caught("b"), answers=["n"])
    assert len(cell.questions) == 1
    assert gated.get("dropped") == ["a"]


def test_a_tool_that_was_changed_asks_again_although_it_was_allowed_for_the_session(gated):
    gated.ask("drop(table='a')", answers=["s"])
    gated.do(DROP.replace("dropped.append(table)", "dropped.append(table + ' and its backup')"))
    cell = gated.ask(caught("b"), answers=["n"])
    assert len(cell.questions) == 1
    assert gated.get("dropped") == []


def test_after_three_denials_the_rest_is_denied_unasked(gated):
    cell = gated.ask(caught(*"abcdef"), answers=["n"] * 6)
    assert len(cell.questions) == 3
    assert gated.get("len(codeact.results[-1].value), codeact.results[-1].value[-1], dropped") == (
        6,
        "drop was denied too often in this turn",
        [],
    )
    assert len(gated.ask(caught("a"), answers=["n"]).questions) == 1  # the next turn asks again


def test_a_name_that_is_made_at_run_time_asks_as_well(gated):
    program = "try:\n    call_tool('dr' + 'op', table='old')\nexcept ToolDenied:\n    caught = True\ncaught"
    cell = gated.ask(program, answers=["n"])
    assert len(cell.questions) == 1
    assert gated.get("codeact.results[-1].value, dropped") == (True, [])


def test_a_call_with_wrong_arguments_asks_nobody(gated):
    cell = gated.ask("call_tool('dr' + 'op', tables=['old'])", options="--max-retries 0", answers=["y"])
    assert cell.questions == []
    assert gated.get("codeact.results[-1].error.kind") == "ToolFailed"


HIDDEN = "a\u202eb\u200bc\x1b[31md\x07e\u2066f\x85g\x7fh"


def test_hidden_characters_in_arguments_are_shown_as_escapes(gated):
    cell = gated.ask(f"drop(table={HIDDEN!r})", answers=["n"], options="--max-retries 0")
    (question,) = cell.questions
    assert all(character.isprintable() for character in question)
    for escape in ("\\u202e", "\\u200b", "\\u2066", "\\x85", "\\x7f", "\\u0007", "\\u001b"):
        assert escape in question


def test_a_question_stays_on_one_line_and_long_arguments_are_shown_whole_above_it(gated):
    table = "x)? [y]es\nAllow nothing()\r"
    cell = gated.ask(f"drop(table={table!r} + 'y' * 100_000)", answers=["n"], options="--max-retries 0")
    (question,) = cell.questions
    assert "\n" not in question
    assert "\r" not in question
    assert "the arguments shown above" in question
    assert "y" * 100_000 in cell.stdout
    assert "x)? [y]es\\nAllow nothing()" in cell.stdout
    assert len(question) < 10_000
    assert question.endswith("or a reason to deny: ")


def test_waiting_for_a_user_does_not_use_up_the_programs_time(gated):
    # The front end answers only after the kernel has shown for longer than the limit that it waits.
    gated.script("```python\ndrop(table='old')\n```")
    sent = gated.send("%%codeact --timeout 0.3\nGo.", allow_stdin=True)
    gated.wait_for(sent, "Allow drop(")
    gated.do_nothing_for(0.6)
    gated.client.input("y")
    assert gated.finished(sent).status == "ok"
    assert gated.get("dropped, codeact.results[-1].timings.waiting > 0.5") == (["old"], True)


def test_where_nobody_is_the_call_is_denied_with_how_to_allow_it(gated):
    cell = gated.ask("drop(table='old')", options="--max-retries 0")
    assert cell.questions == []
    (error,) = cell.errors
    assert "Denied: drop needs approval and nobody is here to give it" in error
    assert "--allow drop" in error
    assert "CODEACT_ALLOW=drop" in error
    assert gated.get("dropped, codeact.results[-1].calls[0].decision.by") == ([], "nobody")


def test_a_tool_named_by_the_allow_option_runs_and_no_other(gated):
    cell = gated.ask("drop(table='old')", options="--allow drop")
    assert cell.status == "ok"
    assert gated.get("dropped") == ["old"]
    assert gated.ask("pay(amount=1)", options="--allow drop --max-retries 0").status == "error"
    assert gated.ask("drop(table='x')\npay(amount=1)", options="--allow drop,pay").status == "ok"
    assert gated.ask("drop(table='x')", options="--max-retries 0").status == "error"  # good for one cell only


def test_a_tool_named_in_the_environment_runs_unasked(tmp_path):
    notebook = Notebook(tmp_path, CODEACT_ALLOW="drop, other")
    try:
        notebook.do("%load_ext codeact\nfrom codeact import tool")
        notebook.do(DROP)
        assert notebook.ask("drop(table='old')", answers=[]).questions == []
        assert notebook.get("dropped") == ["old"]
        assert notebook.ask("pay(amount=1)", options="--max-retries 0").status == "error"
    finally:
        notebook.close()


def test_for_this_cell_asks_again_in_the_next(gated):
    assert len(gated.ask("[drop(table='a'), drop(table='b')]", answers=["c"]).questions) == 1
    assert len(gated.ask("drop(table='c')", answers=["n"], options="--max-retries 0").questions) == 1
    assert gated.get("dropped") == ["a", "b"]


def test_what_was_allowed_is_listed_and_can_be_revoked(gated):
    assert "Nothing is remembered" in gated.do("%codeact approvals").stdout
    gated.ask("drop(table='a')", answers=["s"])
    assert "drop: for this session" in gated.do("%codeact approvals").stdout
    gated.do(DROP.replace("dropped.append(table)", "dropped.append(table + '!')"))
    assert "has changed since, so it asks again" in gated.do("%codeact approvals").stdout
    assert "Revoked 1 permission." in gated.do("%codeact approvals revoke drop").stdout
    assert "nothing to revoke" in gated.do("%codeact approvals revoke all").stdout
    assert "Nothing is remembered" in gated.do("%codeact approvals").stdout
    assert "UsageError" in gated.run("%codeact approvals drop").errors[0]


def test_a_tool_named_in_the_configuration_runs_unasked(gated):
    gated.do("%config CodeAct.allow = ['drop']")
    try:
        assert gated.ask("drop(table='a')", answers=[]).questions == []
        assert "allowed beforehand" in gated.ask("drop(table='b')").text
        assert "drop" in gated.do("%codeact status").stdout.partition("allowed")[2]
    finally:
        gated.do("%config CodeAct.allow = []")
    assert gated.get("dropped") == ["a", "b"]


def test_a_question_that_nobody_answers_in_time_is_a_no(gated):
    gated.script("```python\ndrop(table='old')\n```")
    sent = gated.send("%%codeact --approval-timeout 0.3 --max-retries 0\nGo.", allow_stdin=True)
    cell = gated.finished(sent)  # the question was open, and was taken back
    assert len(cell.questions) == 1
    assert "nobody decided within 0.3 s" in cell.text
    assert gated.get("dropped") == []
    assert "UsageError" in gated.run("%%codeact --approval-timeout 0\nGo.").errors[0]


def test_what_is_typed_into_a_question_that_was_taken_back_answers_no_other(gated):
    program = "try:\n    drop(table='harmless')\nexcept ToolDenied:\n    pass\ndrop(table='important')"
    gated.script(f"```python\n{program}\n```")
    sent = gated.send("%%codeact --approval-timeout 0.3 --max-retries 0\nGo.", allow_stdin=True)
    gated.wait_for(sent, "Allow drop(")
    gated.do_nothing_for(1)
    gated.client.input("y")
    cell = gated.finished(sent)
    assert len(cell.questions) == 1
    assert "was left open" in cell.text
    assert gated.get("dropped") == []


REVIEW = "--review --max-retries 0"


def test_a_program_is_shown_and_runs_only_after_a_yes(gated):
    cell = gated.ask("1 + 1", options=REVIEW, answers=["y"])
    assert cell.questions[0].startswith("Run this program?")
    assert "    1 + 1" in cell.text
    assert gated.get("codeact.results[-1].value") == 2


def test_a_program_that_is_rejected_does_not_run_and_the_cell_says_so(gated):
    cell = gated.ask("drop(table='a')", options=f"{REVIEW} --allow drop", answers=["n"])
    assert cell.status == "error"
    assert "The program did not run: you did not let it run." in cell.text
    assert gated.get("dropped, codeact.results[-1].model_turns") == ([], 1)


def test_a_comment_goes_back_to_the_model_and_is_no_repair(gated):
    cell = gated.ask("1", "2", "3", options=REVIEW, answers=["make it two", "make it three", "yes"])
    assert len(cell.questions) == 3
    assert gated.get("codeact.results[-1].value, codeact.results[-1].attempts") == (3, 3)
    assert "make it two" in gated.asked[1][-1]


def test_where_nobody_is_a_review_rejects(gated):
    cell = gated.ask("1 + 1", options=REVIEW)
    assert "leave out --review" in cell.errors[0]
    assert gated.get("codeact.results[-1].model_turns") == 1


def test_an_ipykernel_that_looks_different_inside_is_asked_on_stdin(tmp_path):
    notebook = Notebook(tmp_path)
    try:
        notebook.do("%load_ext codeact\nfrom codeact import tool")
        notebook.do(DROP)
        notebook.do(  # a kernel without the private names that the filter needs
            "import codeact.loop_thread as module\nold = module.ShellChannelFilter\n"
            "module.ShellChannelFilter = lambda kernel: old(type('Kernel', (), {'shell_stream': kernel.shell_stream})())"
        )
        cell = notebook.ask("[drop(table='a'), drop(table='b')]", answers=["y", "y"])
        assert len(cell.questions) == 2
        assert cell.status == "ok"
        assert "input()" in cell.text
        assert "input()" not in notebook.ask("1", answers=[]).text  # said once
    finally:
        notebook.close()
