from __future__ import annotations

import json
import os

import pytest

from codeact_kernel.approval import ApprovalRequest, Grants
from codeact_kernel.types import Decision, ToolCall

SESSION = Decision(choice="allow_session", by="user")
ALWAYS = Decision(choice="allow_always", by="user")


def question(name="drop", version="v1", **arguments) -> ApprovalRequest:
    call = ToolCall(id=1, name=name, arguments=arguments or {"table": "old"}, version=version)
    return ApprovalRequest(turn="t", run=1, call=call)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "share" / "approvals.json"


def test_for_once_and_for_the_cell_nothing_is_remembered(file):
    grants = Grants(file)
    for choice in ("allow_once", "allow_cell", "reject"):
        grants.remember(question(), Decision(choice=choice, by="user"))
    assert grants.find(question()) is None
    assert not file.exists()


def test_for_the_session_any_arguments_of_the_same_tool_are_allowed_and_no_file_is_written(file):
    grants = Grants(file)
    grants.remember(question(), SESSION)
    assert grants.find(question(table="other")) == Decision(choice="allow_session", by="memory")
    assert grants.find(question(version="v2")) is None
    assert grants.find(question(name="drop2")) is None
    assert Grants(file).find(question()) is None


@pytest.mark.parametrize(
    "other",
    [
        {"table": "old "}, {"table": "Old"}, {"table": "o\u200bld"}, {"table": ["old"]}, {"table": "old", "rows": 0},
        {"table": None}, {"tables": "old"},
    ],
)  # fmt: skip
def test_always_is_for_exactly_these_arguments(file, other):
    grants = Grants(file)
    grants.remember(question(), ALWAYS)
    assert grants.find(question()) == Decision(choice="allow_always", by="memory")
    assert grants.find(question(**other)) is None


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (1, True), (0, False), ("1", 1), (0.0, -0.0), ([1], [1.0])])
def test_values_that_python_calls_equal_are_not_the_same_arguments(file, one, other):
    grants = Grants(file)
    grants.remember(question(rows=one), ALWAYS)
    assert grants.find(question(rows=other)) is None
    assert grants.find(question(rows=one)) is not None


def test_always_holds_in_the_next_kernel_for_the_same_code_in_the_same_folder(file, tmp_path, monkeypatch):
    Grants(file).remember(question(), ALWAYS)
    assert Grants(file).find(question()) is not None
    assert Grants(file).find(question(version="v2")) is None
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert Grants(file).find(question()) is None


def test_what_was_edited_is_what_is_remembered(file):
    grants = Grants(file)
    grants.remember(question(), Decision(choice="allow_always", by="user", arguments={"table": "new"}))
    assert grants.find(question()) is None
    assert grants.find(question(table="new")) is not None


def test_what_one_kernel_revokes_the_other_does_not_allow(file):
    first, second = Grants(file), Grants(file)
    first.remember(question(), ALWAYS)
    assert second.find(question()) is not None
    assert second.revoke("drop") == 1
    assert first.find(question()) is None


def test_revoking_one_tool_leaves_the_others(file):
    grants = Grants(file)
    for name in ("drop", "pay"):
        grants.remember(question(name), ALWAYS)
        grants.remember(question(name), SESSION)
    assert grants.revoke("drop") == 2
    assert grants.find(question("drop")) is None
    assert grants.find(question("pay")) is not None
    assert grants.revoke() == 2
    assert grants.revoke() == 0


@pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
def test_the_file_is_the_users_own_or_it_does_not_count(file):
    Grants(file).remember(question(), ALWAYS)
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o666)
    assert Grants(file).find(question()) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "{}", "[1]", '[{"name": "drop"}]', "[" * 100_000, "null",
        '[{"name": 1, "version": "v1", "arguments": "", "folder": "", "since": 0}]',
        '[{"name": "drop", "version": "v1", "arguments": "", "folder": "", "since": true}]',
        '[{"name": "drop", "version": "v1", "arguments": "", "folder": "", "since": 0, "more": 1}]',
    ],
)  # fmt: skip
def test_a_damaged_file_allows_nothing_and_stops_nobody(file, text):
    file.parent.mkdir(parents=True)
    file.write_text(text)
    file.chmod(0o600)
    grants = Grants(file)
    assert grants.find(question()) is None
    grants.remember(question(), ALWAYS)
    assert grants.find(question()) is not None
    assert len(json.loads(file.read_text())) == 1


def test_where_nothing_can_be_written_it_holds_until_the_kernel_ends(tmp_path):
    (tmp_path / "share").write_text("a file where a folder should be")
    grants = Grants(tmp_path / "share" / "approvals.json")
    grants.remember(question(), ALWAYS)
    assert grants.find(question()) is not None


def test_a_seal_names_one_call_of_one_tool_with_its_arguments():
    base = question()
    others = [
        question(table="new"), question(version="v2"), question(name="pay"),
        ApprovalRequest(turn="u", run=1, call=base.call), ApprovalRequest(turn="t", run=2, call=base.call),
    ]  # fmt: skip
    assert len({one.digest for one in (base, *others)}) == 6
    assert question().digest == base.digest


def test_a_kernel_whose_folder_was_removed_matches_no_other(file, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    grants = Grants(file)
    grants.remember(question(), ALWAYS)
    assert grants.find(question()) is None
