from __future__ import annotations

import contextvars

import pytest

from codeact_kernel.tools.progress import progress, reporting


@pytest.fixture
def told():
    return []


def report_to(told):
    return reporting(lambda *facts: told.append(facts))


def test_outside_a_call_it_does_nothing():
    progress(1, 2, "rows")


def test_the_first_and_the_last_report_come_through_and_a_flood_does_not(told):
    with report_to(told):
        for done in range(1_001):
            progress(done, 1_000, "rows")
    assert told[0] == (0.0, 1000.0, "rows")
    assert told[-1] == (1000.0, 1000.0, "rows")
    assert len(told) < 100


def test_without_a_total_there_is_none(told):
    with report_to(told):
        progress(3)
    assert told == [(3.0, None, "")]


@pytest.mark.parametrize("done", ["many", None, float("nan"), float("inf"), 10**400, [1]])
def test_what_is_no_number_is_left_out(told, done):
    with report_to(told):
        progress(done, 10)
    assert told == []


def test_a_long_text_is_cut(told):
    with report_to(told):
        progress(1, 2, "x" * 1_000)
    assert len(told[0][2]) == 200


def test_what_a_tool_left_behind_tells_nothing_more(told):
    with report_to(told):
        left_behind = contextvars.copy_context()
    left_behind.run(progress, 1, 1)
    assert told == []
