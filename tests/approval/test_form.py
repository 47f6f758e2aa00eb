from __future__ import annotations

from dataclasses import replace

import pytest
from codeact.approval_form import make_form, read_edits

from codeact_kernel.approval import ApprovalRequest
from codeact_kernel.errors import ProgramError
from codeact_kernel.render import CallRow
from codeact_kernel.render.calls import call_text
from codeact_kernel.render.escaping import escape_hidden, escape_strictly
from codeact_kernel.render.values import arguments_text
from codeact_kernel.types import ToolCall

SCHEMA = {"properties": {"mode": {"enum": ["fast", "slow"]}, "level": {"enum": [1, 2]}}}


class Refusing:
    def find_version(self, arguments) -> str:
        raise ProgramError("rows: too many")


def question(**arguments) -> ApprovalRequest:
    return ApprovalRequest(turn="t", run=1, call=ToolCall(id=1, name="f", arguments=arguments), schema=SCHEMA)


def field(value, name="a"):
    (one,) = make_form(question(**{name: value}))["fields"]
    return one


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ("plain", "text", "plain"), ("two\nlines\t", "text", "two\nlines\t"), (True, "bool", "True"), (3, "number", "3"),
        (2**63 - 1, "number", "9223372036854775807"), (-0.5, "number", "-0.5"), (None, "json", "null"),
        ([1, "é"], "json", '[1, "\\u00e9"]'), ("right\u202eleft", "json", '"right\\u202eleft"'),
        ("zero\u200bwidth", "json", '"zero\\u200bwidth"'), ("a\rb", "json", '"a\\rb"'), ("\x1b[31m", "json", '"\\u001b[31m"'),
    ],
)  # fmt: skip
def test_a_field_shows_a_value_by_its_type_and_hides_nothing(value, kind, text):
    assert (field(value)["kind"], field(value)["text"]) == (kind, text)


def test_one_of_a_few_texts_is_a_choice():
    assert field("fast", "mode")["choices"] == ["fast", "slow"]
    assert field("other", "mode")["kind"] == "text"
    assert field(1, "level")["kind"] == "number"


@pytest.mark.parametrize(("value", "long"), [("x" * 600, False), ("x" * 601, True), ([0] * 500, True)])
def test_what_cannot_be_seen_at_a_glance_is_marked(value, long):
    assert field(value)["long"] is long


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ("old", "new", "new"), ("old", "", ""), (3, "4", 4), (3, " 4.5 ", 4.5), (3, "9223372036854775807", 2**63 - 1),
        (True, "false", False), ([1], "[2, {}]", [2, {}]), (None, '"text"', "text"), ("a\u202eb", '"ab"', "ab"), (1, "1.0", 1.0),
    ],
)  # fmt: skip
def test_an_edit_is_read_by_the_fields_type(value, text, expected):
    arguments, problem = read_edits(question(a=value), {"a": text})
    assert problem == ""
    assert arguments == {"a": expected}
    assert type(arguments["a"]) is type(expected)


@pytest.mark.parametrize("value", ["old", 3, 0.1, True, None, [1, "\u202e"], "a\rb", 2**62 + 1, 1e300])
def test_what_was_not_changed_is_what_the_program_sent(value):
    assert read_edits(question(a=value), {"a": field(value)["text"]}) == (None, "")
    assert read_edits(question(a=value), {}) == (None, "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, ""), (3, "three"), (3, "[3]"), (3, "NaN"), (3, "1e999"), (3, "true"), (3, '"3"'), (True, "yes"), (True, "1"),
        ([1], "[1"), ([1], '{"a": 1, "a": 2}'), ([1], "[" * 100 + "]" * 100), ([1], '"\\ud800"'),
    ],
)  # fmt: skip
def test_an_edit_that_means_nothing_is_reported_in_a_sentence(value, text):
    arguments, problem = read_edits(question(a=value), {"a": text})
    assert arguments is None
    assert problem.startswith("a: this has to be ")


def test_the_tools_own_check_has_the_last_word_and_unknown_names_are_refused():
    refused = replace(question(a=1), validator=Refusing())
    assert read_edits(refused, {"a": "2"}) == ({"a": 2}, "rows: too many")
    assert read_edits(question(a=1), {"b": "2"}) == (None, "b is not an argument of this call.")


INVISIBLE = "\ufe00\ufe0f\U000e0101\u034f\u115f\u3164\uffa0\u2800\u180b\u17b5\u2065\U000e0080\u00a0\u2003\u00ad\ufeff"


@pytest.mark.parametrize("sign", INVISIBLE)
def test_a_sign_of_which_nothing_is_seen_is_shown_as_its_escape(sign):
    shown = field(f"a{sign}b")
    assert shown["kind"] == "json"
    assert shown["text"].isascii()
    assert make_form(question(a=f"a{sign}b"))["fits_row"] is (escape_strictly(sign) == escape_hidden(sign))


def test_a_call_is_brief_only_if_its_row_shows_all_of_it():
    assert make_form(question(a="x", b=1))["fits_row"] is True
    name = "transfer_money_between_accounts"
    call = ToolCall(id=1, name=name, arguments={"to": "savings of my mother Anna", "amount_in_euro_cents": 100000000})
    assert make_form(ApprovalRequest(turn="t", run=1, call=call))["fits_row"] is False


@pytest.mark.parametrize("count", range(1, 21))
def test_a_call_is_brief_only_where_its_row_shows_every_value_whole(count):
    """The row of a call shortens each argument by the number of them, so the text of all of them says nothing of it."""
    for length in range(1, 90, 4):
        arguments = {f"a{number}": "x" * length + str(number) for number in range(count)}
        asked = question(**arguments)
        if make_form(asked)["fits_row"]:
            row = call_text(CallRow(asked.call))
            assert [value for value in arguments.values() if f'"{value}"' not in row] == []
            assert len(row) <= 90


def test_a_call_whose_text_is_short_can_have_a_row_that_leaves_some_of_it_out():
    """The control: the length of the whole text, which this went by before, does not say what the row shows."""
    asked = question(to="acct-111122223333EVIL5555", **{f"a{number}": number for number in range(8)})
    assert len(f"f({arguments_text(asked.call.arguments, 10_000)})") <= 90
    assert "acct-111122223333EVIL5555" not in call_text(CallRow(asked.call))
    assert not make_form(asked)["fits_row"]


def test_a_short_call_of_few_arguments_is_brief():
    assert make_form(question(to="acct-1", amount=3))["fits_row"]
    assert not make_form(question(to="\u0430cct"))["fits_row"]


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("\u0430dmin@\u0440aypal.com", "Look-alike letters in \\u0430dmin@\\u0440aypal.com"),
        ("\u0440\u0430\u0443\u0440\u0430\u04561.com", "Look-alike letters in \\u0440\\u0430\\u0443\\u0440\\u0430\\u04561.com"),
        ("\u0441\u043e\u0441\u043e", "Look-alike letters in \\u0441\\u043e\\u0441\\u043e"),
        ("\uff41dmin", "Look-alike letters in \\uff41dmin"), ("admin\u2044root", "Look-alike letters in admin\\u2044root"),
        ("\U0001d41aamin", "Look-alike letters in \\U0001d41aamin"), ("https://a.com\uff1a80", "Look-alike letters in https://a.com\\uff1a80"),
        ("\u212aelvin", "Look-alike letters in \\u212aelvin"), ("pa\u0443 b\u043ec bop", "Look-alike letters in pa\\u0443, b\\u043ec"),
        ("\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u0421\u043e\u0440.", ""), ("x=\u041f\u0440\u0438\u0432\u0435\u0442", ""),
        ("\u65e5\u672c\u8a9e\u3067HTTP\u3092\u4f7f\u3046", ""), ("\ud55c\uad6d\uc5b4 API\ud638\ucd9c", ""), ("caf\u00e9 na\u00efve \u2014 \u201cyes\u201d", ""),
        ("\u4e2d\u6587\uff1a\u8bf4\u660e", ""), ("\u0393\u03b5\u03b9\u03ac \u03c3\u03bf\u03c5", ""), ("plain", ""),
    ],
)  # fmt: skip
def test_letters_that_look_like_others_are_named_beside_the_field(text, note):
    assert field(text)["note"] == note
