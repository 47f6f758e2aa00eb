"""What a user can choose, from the environment and in words."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from codeact_kernel.configuration import from_environment
from codeact_kernel.errors import UserError
from codeact_kernel.limits import WorkerLimits
from codeact_kernel.settings import Limits, parse_memory

MIB = 1 << 20


@pytest.mark.parametrize(("text", "mib"), [("64Mi", 64), ("256Mi", 256), (" 1Gi ", 1024), ("2Gi", 2048)])
def test_a_memory_is_written_with_its_binary_unit(text, mib):
    assert parse_memory(text) == mib * MIB


@pytest.mark.parametrize(
    "text", ["", "Mi", "256", "256MB", "256mi", "-256Mi", "2.5Gi", "63Mi", "3Gi", "1000000Mi", "²Gi", "nan", "0x40Mi"]
)
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(UserError, match="is not a memory size for a sandbox: use 64Mi to 2Gi, for example 256Mi"):
        parse_memory(text)


def test_the_environment_is_read_by_name():
    settings = from_environment(
        {
            "CODEACT_MODEL": "m",
            "CODEACT_BACKEND": "embedded",
            "CODEACT_MAX_RETRIES": "1",
            "CODEACT_TIMEOUT": "2.5",
            "CODEACT_MEMORY": "512Mi",
            "CODEACT_ALLOW": "a, b,",
        }
    )
    assert (settings.model, settings.backend, settings.max_retries) == ("m", "embedded", 1)
    assert settings.allow == {"a", "b"}
    assert settings.limits == Limits(run_seconds=2.5, memory_bytes=512 * MIB)


def test_an_empty_environment_means_the_strongest_boundary_that_starts():
    settings = from_environment({})
    assert (settings.backend, settings.limits) == ("auto", Limits())


@pytest.mark.parametrize(
    "variable", [{"CODEACT_TIMEOUT": "soon"}, {"CODEACT_MAX_RETRIES": "-1"}, {"CODEACT_MEMORY": "much"}]
)
def test_a_variable_that_is_not_of_its_kind_is_a_sentence_with_its_value(variable):
    with pytest.raises(UserError, match=next(iter(variable.values()))):
        from_environment(variable)


def test_a_worker_is_replaced_for_its_own_limits_only():
    usual = Limits().for_worker()
    for limit in fields(Limits):
        default = getattr(Limits(), limit.name)
        other = 2 * default if isinstance(default, int | float) else object()
        changed = replace(Limits(), **{limit.name: other}).for_worker() != usual
        assert changed == (limit in fields(WorkerLimits)), limit.name


def test_the_processor_time_of_a_worker_is_enough_for_a_longer_run():
    assert Limits(run_seconds=1_000).for_worker().cpu_seconds == 4_000
