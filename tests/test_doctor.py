"""What the doctor makes of what it finds."""

from __future__ import annotations

import tomllib
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from codeact_kernel import ModelError, ScriptedModel, Session, Settings
from codeact_kernel.doctor import Finding, as_data, examine, line, summary
from codeact_kernel.model.base import Delta

EMBEDDED = Settings(backend="embedded")


class Model:
    """One that answers as it is told to."""

    name, note = "m", ""

    def __init__(self, *deltas: Delta | Exception) -> None:
        self.deltas, self.closed = deltas, False

    async def stream(self, messages):
        try:
            for delta in self.deltas:
                if isinstance(delta, Exception):
                    raise delta
                yield delta
        finally:
            self.closed = True


async def found(model=None, settings=EMBEDDED) -> dict[str, Finding]:
    async with Session(tools=(), model=model) as session:
        return {one.about: one async for one in examine(settings, session.choose)}


async def test_a_model_that_answers_is_ok_and_only_its_first_words_are_read():
    model = Model(Delta(text="rea"), ModelError("read on"))
    finding = (await found(model))["model"]
    assert finding.state == "ok"
    assert "m: first token after 0.0" in finding.found
    assert model.closed


@pytest.mark.parametrize(
    ("model", "state", "says"),
    [
        (Model(ModelError("The key is wrong: set another.")), "problem", "The key is wrong"),
        (Model(), "problem", "an empty answer"),
        (Model(ZeroDivisionError("a model of one's own")), "problem", "ZeroDivisionError: a model of one's own"),
        (ScriptedModel([]), "warning", "Answers come from a script"),
    ],
)
async def test_a_model_that_gives_no_answer_is_a_problem_and_one_that_is_none_a_warning(model, state, says):
    finding = (await found(model))["model"]
    assert (finding.state, says in finding.found) == (state, True)
    assert finding.advice


async def test_the_ipykernels_that_are_supported_are_those_that_pip_would_install(monkeypatch):
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (wanted,) = [one for one in map(Requirement, project["dependencies"]) if one.name == "ipykernel"]
    for version in (f"{major}.{minor}.{patch}" for major in range(5, 10) for minor in range(40) for patch in (0, 2)):
        monkeypatch.setattr("codeact_kernel.doctor.version", lambda name, version=version: version)
        async with aclosing(examine(EMBEDDED, Session(tools=()).choose)) as findings:
            async for one in findings:
                if one.about == "ipykernel":
                    break
        assert (version, one.state) == (version, "ok" if version in wanted.specifier else "problem")


async def test_a_backend_that_does_not_start_is_a_problem_only_if_it_is_wanted(monkeypatch):
    monkeypatch.setattr("codeact_kernel.sandbox.backends.micro_vm_support.missing", lambda: "There is no hypervisor.")
    finding = (await found(Model()))["backend hyperlight"]
    assert (finding.state, "no hypervisor" in finding.found) == ("warning", True)
    finding = (await found(Model(), replace(EMBEDDED, backend="hyperlight")))["backend hyperlight"]
    assert finding.state == "problem"
    assert "auto" in finding.advice


async def test_without_any_sandbox_there_is_no_lockdown_to_speak_of(monkeypatch, tmp_path):
    monkeypatch.setattr("codeact_kernel.sandbox.backends.micro_vm_support.missing", lambda: "There is no hypervisor.")
    monkeypatch.setattr("codeact_kernel.sandbox.backends.base.find_spec", lambda name: None)
    findings = await found(Model())
    assert findings["backend embedded"].state == findings["lockdown"].state == "problem"
    assert "pip install" in findings["backend embedded"].found


async def test_what_is_broken_does_not_keep_the_rest_from_being_looked_at(monkeypatch):
    def broken():
        raise ImportError("No package metadata was found for wasmtime")

    monkeypatch.setattr("codeact_kernel.sandbox.backends.guest_cache.path", broken)
    monkeypatch.setattr("codeact_kernel.doctor.BACKENDS", ())
    findings = await found(Model())
    assert (findings["compile cache"].state, findings["disk"].state) == ("problem", "ok")
    assert "wasmtime" in findings["compile cache"].found


async def test_a_cache_that_is_empty_or_not_to_be_trusted_is_said_to_be(monkeypatch, tmp_path):
    from codeact_kernel.sandbox.backends import guest_cache

    file = tmp_path / "guest.cwasm"
    monkeypatch.setattr(guest_cache, "path", lambda: file)
    monkeypatch.setattr("codeact_kernel.doctor.BACKENDS", ())
    assert (await found(Model()))["compile cache"].state == "warning"
    file.write_bytes(b"x")
    file.chmod(0o666)
    assert (await found(Model()))["compile cache"].state == "problem"


async def test_little_room_is_a_warning_and_none_a_problem(monkeypatch):
    monkeypatch.setattr("codeact_kernel.doctor.BACKENDS", ())
    for free, state in ((50 << 20, "problem"), (500 << 20, "warning"), (5 << 30, "ok")):
        monkeypatch.setattr("shutil.disk_usage", lambda folder, free=free: type("Usage", (), {"free": free}))
        assert (await found(Model()))["disk"].state == state


def test_findings_are_lines_data_and_a_sentence():
    fine, worse, bad = (
        Finding(state, state, "seen", "" if state == "ok" else "do this") for state in ("ok", "warning", "problem")
    )
    assert line(fine) == "ok       ok                  seen"
    assert line(bad).splitlines()[1].strip() == "do this"
    assert line(Finding("x", "ok", "\x1b[2Jgone\nnext")).isprintable()
    assert summary([fine]) == "Everything works."
    assert summary([fine, worse]) == "Prompts work. 1 thing could be better."
    assert summary([fine, worse, bad, bad]) == "2 problems: prompts will not work until they are fixed."
    assert as_data([fine, worse], "1")["ok"] is True
    assert as_data([fine, bad], "1")["ok"] is False
