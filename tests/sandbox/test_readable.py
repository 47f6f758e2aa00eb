"""Waiting for a pipe with a time limit, on systems that can wait for pipes and on Windows, which has to look again."""

from __future__ import annotations

import os
import threading
import time

import pytest

from codeact_kernel.sandbox.wait_readable import poll_until, wait_readable


@pytest.fixture
def pipe():
    read, write = os.pipe()
    ends = {read, write}
    yield read, write, ends
    for end in ends:
        os.close(end)


def test_a_pipe_with_something_in_it_is_readable_at_once(pipe):
    read, write, _ = pipe
    os.write(write, b"x")
    assert wait_readable(read, 60) is True


def test_an_empty_pipe_is_not_readable_when_the_time_is_up(pipe):
    assert wait_readable(pipe[0], 0.01) is False
    assert wait_readable(pipe[0], 0) is False


def test_a_pipe_that_has_ended_is_readable_so_that_its_end_is_read(pipe):
    read, write, ends = pipe
    os.close(write)
    ends.remove(write)
    assert wait_readable(read, 60) is True
    assert os.read(read, 1) == b""


def test_something_that_comes_while_we_wait_is_seen(pipe):
    read, write, _ = pipe
    threading.Timer(0.05, os.write, (write, b"x")).start()
    assert wait_readable(read, 60) is True


def test_peeking_looks_at_least_once_and_stops_at_the_first_yes():
    answers = iter([False, False, True])
    assert poll_until(lambda: next(answers), 60) is True
    assert next(answers, None) is None
    assert poll_until(lambda: True, 0) is True


def test_peeking_ends_when_the_time_is_up():
    looks = []
    start = time.monotonic()
    assert poll_until(lambda: bool(looks.append(1)), 0.05) is False
    assert time.monotonic() - start >= 0.05
    assert 2 <= len(looks) < 100
