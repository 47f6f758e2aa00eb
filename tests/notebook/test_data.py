"""`--in` and `--out`: the notebook's data goes to the program and back, and the model sees next to nothing of it."""

from __future__ import annotations

import pytest

FRAME = """
import numpy as np, pandas as pd
df = pd.DataFrame({"region": ["north", "south"] * 50_000, "amount": np.arange(100_000) / 4, "secret": ["s3cr3t"] * 100_000})
params = {"rate": 2}
"""
TOTALS = """
totals = [{"region": name, "total": sum(part["amount"]) * params["rate"]} for name, part in df.group_by("region").items()]
len(totals)
""".strip()


@pytest.fixture(scope="module")
def data(kernel):
    kernel.do(FRAME)
    return kernel


def test_a_data_frame_goes_in_and_another_comes_out(data):
    cell = data.ask(TOTALS, options="--in df,params --out totals", prompt="Totals per region.")
    assert cell.status == "ok"
    assert data.get("(type(totals).__name__, totals.to_dict('list'))") == (
        "DataFrame",
        {"region": ["north", "south"], "total": [1249975000.0, 1250000000.0]},
    )
    assert "--out totals: 2 rows × 2 columns" in cell.text
    (messages,) = data.asked
    assert "df = [  # Table of 100,000 rows: region: str, amount: float, secret: str" in messages[1]
    assert messages[1].count("s3cr3t") == 3
    assert data.get("codeact.results[-1].outputs['totals'].records()[0]['region']") == "north"


def test_with_schema_the_model_sees_no_value(data):
    data.ask("sum(df['amount'])", options="--in df:schema")
    assert "s3cr3t" not in "".join(data.asked[0])
    assert data.get("codeact.results[-1].value") == 99_999 * 100_000 / 8


def test_a_failure_leaves_the_variable_as_it_was(data):
    data.do("kept = 'before'")
    cell = data.ask("kept = 1\n1 / 0", options="--out kept --max-retries 0")
    assert cell.status == "error"
    assert data.get("kept") == "before"


def test_words_instead_of_a_program_leave_the_variable_and_say_so(data):
    data.do("kept = 'before'")
    data.script("I would rather not.")
    cell = data.run("%%codeact --out kept\nGo.")
    assert cell.status == "error"
    assert "No value for kept: the model answered without a program" in cell.errors[0]
    assert data.get("kept") == "before"


def test_a_program_that_forgets_the_variables_is_asked_again(data):
    cell = data.ask("one = 1", "two = 2\none = 1", options="--out one,two --out one")
    assert cell.status == "ok"
    assert data.get("one, two") == (1, 2)
    assert "NameError: the program has to assign two" in data.asked[-1][-1]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("--in nothing_like_that", "this variable does not exist: run the cell that creates it."),
        ("--in parms", "this variable does not exist: did you mean params?"),
        ("--in df:rows", "name variables with commas between them"),
        ("--in nb_tool", "this is the name of a tool"),
        ("--in oops", "a value of type object cannot be sent"),
        ("--in show", "--in show: every program has something else with that name: use another name."),
        ("--out len", "--out len: every program has something else with that name"),
        ("--out nb_tool", "--out nb_tool: this is the name of a tool"),
        ("--out 1x", "--out 1x: not a name for a variable."),
        ("--out class", "--out class: not a name for a variable."),
    ],
)
def test_what_cannot_go_in_or_out_is_said_before_the_model_is_asked(data, options, why):
    data.do("oops = object()\nfrom codeact import tool\n@tool\ndef nb_tool() -> int:\n    'One.'\n    return 1")
    cell = data.ask("1", options=options)
    assert cell.status == "error"
    assert why in cell.errors[0]
    assert data.asked == []
    data.do("%codeact forget nb_tool")


def test_a_dry_run_shows_what_of_the_data_would_be_sent(data):
    cell = data.run("%%codeact --in params --out x --dry-run\nGo.")
    shown = "".join(content["text"] for content in cell.of("stream"))
    assert 'params: {"rate": 2}' in shown
    assert "The program has to assign the result to x." in shown


def test_a_variable_of_the_notebook_is_not_what_the_program_makes_of_it(data):
    data.ask("params['rate'] = 99\nparams", options="--in params")
    assert data.get("params, codeact.results[-1].value") == ({"rate": 2}, {"rate": 99})


def test_a_large_result_of_a_tool_is_named_as_what_it_is(data):
    data.do(
        "from codeact import tool\n@tool\ndef all_rows() -> list[dict]:\n    'Rows.'\n"
        "    return [{'i': i, 'text': 'x' * 20} for i in range(100_000)]"
    )
    cell = data.ask("rows = all_rows()\nlen(rows), rows[-1]['i']")
    assert data.get("codeact.results[-1].value") == [100_000, 99_999]
    assert "… 100,000 in all, kept in the notebook" in cell.text
    assert len(cell.text) < 3_000
    data.do("%codeact forget all_rows")


# -- direct tools --------------------------------------------------------------------------------------------------------

SEND = """
from codeact import tool
sent = []
@tool(direct=True{})
def send_mail(to: str, text: str) -> str:
    "Send a mail."
    sent.append((to, text))
    return "sent as number 7"
"""


@pytest.fixture
def mail(data):
    data.do(SEND.format(""))
    yield data
    data.do("%codeact forget send_mail")


def test_the_model_calls_a_direct_tool_itself_with_what_a_program_found(mail):
    mail.script(
        "```python\nobserve(sum([1, 2, 3]))\n```",
        "```python\nsend_mail(to='ann@example.org', text='The sum is 6')\n```",
        "The mail went out.",
    )
    cell = mail.run("%%codeact\nMail Ann the sum.")
    assert cell.status == "ok"
    assert mail.get("sent") == [("ann@example.org", "The sum is 6")]
    assert "→ send_mail(to='ann@example.org', text='The sum is 6') = 'sent as number 7'" in cell.text.replace('"', "'")
    assert "The mail went out." in cell.text
    assert mail.get("codeact.results[-1].error, codeact.results[-1].answer, [c.call.name for c in codeact.results[-1].calls]") == (
        None, "The mail went out.", ["send_mail"],
    )  # fmt: skip
    first, *_, last = mail.asked
    assert "Direct tools, which no program can call." in first[1]
    assert first[1].index("\nsend_mail(") > first[1].index("Direct tools")
    assert "send_mail returned:" in last[-1]
    assert "sent as number 7" in last[-1]


@pytest.mark.parametrize(
    "program",
    [
        "for i in range(3):\n    send_mail(to='a', text='b')",
        "call_tool('send_mail', to='a', text='b')\n1",
        "x = send_mail",
    ],
)
def test_a_program_that_calls_a_direct_tool_is_not_run(mail, program):
    cell = mail.ask(program, options="--max-retries 0")
    assert cell.status == "error"
    assert "which you call yourself and no program can" in cell.text
    assert mail.get("sent") == []


def test_a_name_made_at_run_time_does_not_reach_a_direct_tool(mail):
    mail.ask(
        "try:\n    call_tool('send' + '_mail', to='a', text='b')\nexcept ToolFailed as error:\n    seen = str(error)\nseen"
    )
    assert mail.get("codeact.results[-1].value, sent") == (
        "send_mail is called by the model itself: a program cannot call it",
        [],
    )


def test_a_direct_call_asks_for_its_approval_and_its_denial_goes_to_the_model(mail):
    mail.do(SEND.format(", approval_mode='always_require'"))
    mail.script("```python\nsend_mail('ann@example.org', 'Hi')\n```", "It was not sent.")
    mail.do("%config CodeAct.approval_ui = 'stdin'")
    cell = mail.run("%%codeact\nMail Ann.", answers=["no too early"])
    mail.do("%config CodeAct.approval_ui = 'auto'")
    assert cell.questions
    assert mail.get("sent") == []
    assert "was not done (ToolDenied)" in mail.asked[-1][-1]


def test_values_that_are_not_written_out_are_asked_for_again(mail):
    mail.script("```python\nsend_mail(to=who, text='x')\n```", "```python\nsend_mail(to='a', text='x')\n```", "Done.")
    mail.run("%%codeact\nMail.")
    assert mail.get("sent") == [("a", "x")]
    assert "write its values out" in mail.asked[1][-1]


def test_a_model_that_calls_without_end_is_stopped(mail):
    mail.script(*["```python\nsend_mail(to='a', text='x')\n```"] * 30)
    cell = mail.run("%%codeact\nMail.")
    assert cell.status == "error"
    assert "and did not finish" in cell.errors[0]
    assert mail.get("len(sent)") == 20
