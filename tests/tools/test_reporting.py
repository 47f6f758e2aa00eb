from __future__ import annotations

import contextvars

import pytest

from codeact_kernel.tools.progress import progress, reporting


@pytest.fixture
def reports():
    return []


def report_to(reports):
    return reporting(lambda *facts: reports.append(facts))


def test_outside_a_call_it_does_nothing():
    progress(1, 2, "rows")


def test_the_first_and_the_last_report_come_through_and_a_flood_does_not(reports):
    with report_to(reports):
        for done in range(1_001):
            progress(done, 1_000, "rows")
    assert reports[0] == (0.0, 1000.0, "rows")
    assert reports[-1] == (1000.0, 1000.0, "rows")
    assert len(reports) < 100


def test_without_a_total_there_is_none(reports):
    with report_to(reports):
        progress(3)
    assert reports == [(3.0, None, "")]


@pytest.mark.parametrize("done", ["many", None, float("nan"), float("inf"), 10**400, [1]])
def test_what_is_no_number_is_left_out(reports, done):
    with report_to(reports):
        progress(done, 10)
    assert reports == []


def test_a_long_text_is_cut(reports):
    with report_to(reports):
        progress(1, 2, "x" * 1_000)
    assert len(reports[0][2]) == 200


def test_what_a_tool_left_behind_tells_nothing_more(reports):
    with report_to(reports):
        left_behind = contextvars.copy_context()
    left_behind.run(progress, 1, 1)
    assert reports == []
