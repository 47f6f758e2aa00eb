"""Check that everything works on this host: try each part, and say what to do where one does not work."""

from __future__ import annotations

import asyncio
import platform
import shutil
import sys
import textwrap
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, TypeAlias

from .errors import CodeActError, UserError
from .guest.kinds import SCIENCE
from .model.base import Message, ModelClient, describe_client
from .model.scripted import ScriptedModel
from .paths import cache_folder
from .render.escaping import one_line
from .sandbox.backends import AUTO, BACKENDS, SCIENCE_BACKEND, Backend, guest_cache, science_wheel
from .sandbox.start_advice import explain_start
from .session import Session
from .settings import Settings
from .text import format_bytes, plural
from .types import Isolation

__all__ = ["Finding", "as_data", "examine", "line", "summary"]

ChooseModel: TypeAlias = Callable[[Settings], Awaitable[ModelClient]]
State = Literal["ok", "warning", "problem"]

_SET_UP = "Set one up, in a cell with %env or in the shell before Jupyter: the page on models has each kind."
_MODEL_SECONDS = 60.0
"""Seconds until the first token of a model: a local model may have to be loaded first."""
_WARNING_BYTES, _PROBLEM_BYTES = 1 << 30, 100 << 20
_COLUMNS = 110
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        about: the part that was checked.
        state: whether it works, could work better, or keeps prompts from working.
        found: what the check found.
        advice: what to do; empty if the state is ok.
    """

    about: str
    state: State
    found: str
    advice: str = ""


async def examine(
    settings: Settings, model: Callable[[Settings], Awaitable[ModelClient]]
) -> AsyncGenerator[Finding, None]:
    """Run every check and yield its result. A configured model is asked for one word, which costs a few tokens.

    Args:
        model: chooses the model that a prompt would be sent to.
    """
    working: list[Isolation] = []
    checks: dict[str, Callable[[], Finding | Awaitable[Finding]]] = {
        "Python": _python,
        "ipykernel": _ipykernel,
        **{f"backend {backend.name}": partial(_backend, backend, settings, working) for backend in BACKENDS},
        "guest science": partial(_science, settings),
        "lockdown": partial(_lockdown, working),
        "model": partial(_model, settings, model),
        "compile cache": _cache,
        "disk": _disk,
    }
    for about, check in checks.items():
        try:
            found = check()
            yield await found if isinstance(found, Awaitable) else found
        except Exception as error:  # a broken part must not stop the other checks
            advice = explain_start() or "Install codeact-kernel again."
            yield Finding(about, "problem", f"{type(error).__name__}: {error}", advice)


def _python() -> Finding:
    inside = "a virtual environment" if sys.prefix != sys.base_prefix else "no virtual environment"
    found = (
        f"{platform.python_version()} ({platform.python_implementation()}, {platform.platform(terse=True)}), {inside}"
    )
    return Finding("Python", "ok", found)


def _ipykernel() -> Finding:
    try:
        found = version("ipykernel")
    except PackageNotFoundError:
        return Finding("ipykernel", "problem", "not installed", "pip install ipykernel")
    numbers = tuple(int(part) for part in found.split(".")[:2] if part.isdigit())
    if numbers < (6, 29) or numbers == (7, 0):
        return Finding("ipykernel", "problem", f"{found} is not supported", "pip install --upgrade ipykernel")
    return Finding("ipykernel", "ok", found)


async def _backend(backend: Backend, settings: Settings, working: list[Isolation]) -> Finding:
    about = f"backend {backend.name}"
    is_wanted = settings.backend == backend.name
    is_last = backend is BACKENDS[-1]
    async with Session(tools=(), model=ScriptedModel(["```python\n6 * 7\n```"] * 2)) as probe:
        try:
            results = [
                await probe.ask("?", settings=replace(settings, backend=backend.name, guest="standard", review=False))
                for _ in range(2)
            ]
        except CodeActError as error:
            state: State = "problem" if is_wanted or (is_last and not working) else "warning"
            advice = explain_start() or "Install codeact-kernel again."
            if is_wanted and not explain_start():
                advice = "Choose another with CODEACT_BACKEND=auto, or %codeact backend auto."
            elif not is_last:
                advice = f"You need do nothing: programs run as {BACKENDS[-1].boundary} instead."
            return Finding(about, state, str(error), advice)
    isolation = results[0].isolation
    if isolation is None or [result.value for result in results] != [42, 42]:
        return Finding(about, "problem", "it started, but its result was wrong", "Install codeact-kernel again.")
    started, warm = (result.timings.sandbox for result in results)
    working.append(isolation)
    used = "used" if is_wanted or (settings.backend == AUTO and len(working) == 1) else "available"
    return Finding(
        about,
        "ok",
        f"{isolation.boundary}: first program after {started:.2f} s, the next after {1000 * warm:.0f} ms; {used}",
    )


def _science(settings: Settings) -> Finding:
    about, is_wanted = f"guest {SCIENCE.name}", settings.guest == SCIENCE.name
    if missing := SCIENCE_BACKEND.why_unavailable():
        if science_wheel.is_installed() or is_wanted:
            return Finding(about, "problem" if is_wanted else "warning", missing, f"Run {science_wheel.INSTALL}.")
        return Finding(about, "ok", "not installed: programs have no pandas")
    try:
        science_wheel.verify()
    except UserError as error:
        return Finding(about, "problem", str(error), f"Run {science_wheel.INSTALL} --force-reinstall.")
    if guest_cache.trusted(SCIENCE_BACKEND.guest_file()):
        return Finding(about, "ok", f"{science_wheel.PACKAGE} {science_wheel.VERSION}, compiled")
    found = f"{science_wheel.PACKAGE} {science_wheel.VERSION}, not compiled yet"
    return Finding(about, "warning", found, "Run codeact-kernel guest install science, or ask: a prompt starts it.")


def _lockdown(working: Sequence[Isolation]) -> Finding:
    if not working:
        return Finding("lockdown", "problem", "no sandbox started", "See the backends above.")
    missing = sorted({layer for isolation in working for layer in isolation.missing})
    layers = ", ".join(working[0].layers) or "none"
    if missing:
        advice = "A newer Linux kernel on x86-64 or aarch64 has them; docs/sandbox.md says what each of them stops."
        return Finding("lockdown", "warning", f"{layers}; without {', '.join(missing)}", advice)
    return Finding("lockdown", "ok", layers)


async def _model(settings: Settings, choose: ChooseModel) -> Finding:
    began = time.monotonic()
    try:
        model = await choose(settings)
        async with asyncio.timeout(_MODEL_SECONDS):
            first = await _first_token(model)
    except TimeoutError:
        return Finding(
            "model", "problem", f"no answer in {_MODEL_SECONDS:.0f} s", "Check that the endpoint is running."
        )
    except CodeActError as error:
        return Finding(
            "model",
            "problem",
            str(error),
            _SET_UP,
        )
    if model.note:
        return Finding("model", "warning", f"{model.name}: {model.note}", "Configure a model to get live answers.")
    if not first:
        return Finding("model", "problem", f"{model.name}: an empty answer", "Check that the endpoint is running.")
    return Finding("model", "ok", f"{describe_client(model)}: first token after {time.monotonic() - began:.2f} s")


async def _first_token(model: ModelClient) -> bool:
    if model.note:  # it is not a live model
        return True
    stream = model.stream([Message("user", "Answer with the one word: ready")])
    try:
        async for delta in stream:
            if delta.text:
                return True
    finally:
        await stream.aclose()
    return False


def _cache() -> Finding:
    try:
        guest = guest_cache.path()
        if not guest.exists():
            return Finding(
                "compile cache", "warning", f"{guest.parent}: nothing compiled yet", "The first start compiles."
            )
        if not guest_cache.trusted(guest):
            advice = "Make yourself the owner of the folder, and let nobody else write to it."
            return Finding("compile cache", "problem", f"{guest.parent} is not trusted", advice)
    except OSError as error:
        return Finding("compile cache", "problem", str(error), "Set CODEACT_CACHE to a folder of your own.")
    return Finding("compile cache", "ok", f"{guest.parent}: {format_bytes(guest.stat().st_size)}")


def _disk() -> Finding:
    folder = cache_folder()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    found = f"{format_bytes(free)} free at {folder}"
    if free < _WARNING_BYTES:
        state: State = "problem" if free < _PROBLEM_BYTES else "warning"
        return Finding(
            "disk", state, found, "The compiled sandbox takes 36 MiB there: make room, or set CODEACT_CACHE."
        )
    return Finding("disk", "ok", found)


def line(finding: Finding) -> str:
    """Format a finding as text. The advice starts on its own line."""
    head = f"{finding.state:8} {finding.about:19} "
    paragraphs = [one_line(finding.found), *([one_line(finding.advice)] if finding.advice else [])]
    lines = [
        text
        for paragraph in paragraphs
        for text in textwrap.wrap(paragraph, _COLUMNS - len(head), break_on_hyphens=False)
    ]
    return head + f"\n{'':{len(head)}}".join(lines)


def summary(findings: Iterable[Finding]) -> str:
    """Summarize the findings in one sentence."""
    states = [finding.state for finding in findings]
    problems, warnings = states.count("problem"), states.count("warning")
    if problems:
        verb = "it is" if problems == 1 else "they are"
        return f"{plural(problems, 'problem')}: prompts will not work until {verb} fixed."
    if warnings:
        return f"Prompts work. {plural(warnings, 'thing')} could be better."
    return "Everything works."


def as_data(findings: Iterable[Finding], version: str) -> dict[str, object]:
    """Return the findings as JSON data. `version` is that of the package that was checked."""
    checked = list(findings)
    return {
        "version": version,
        "ok": all(finding.state != "problem" for finding in checked),
        "findings": [asdict(finding) for finding in checked],
    }
