"""Whether everything works here: each part is really tried, and what does not work says what to do."""

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

from .errors import CodeActError
from .model.base import Message, ModelClient
from .model.scripted import ScriptedModel
from .paths import cache_folder
from .render.escaping import one_line
from .sandbox.backends import AUTO, BACKENDS, Backend, guest_cache
from .sandbox.start_advice import explain_start
from .session import Session
from .settings import Settings
from .types import Isolation

__all__ = ["Finding", "as_data", "examine", "line", "summary"]

ChooseModel: TypeAlias = Callable[[Settings], Awaitable[ModelClient]]
State = Literal["ok", "warning", "problem"]

_SET_UP = "Set one up, in a cell with %env or in the shell before Jupyter: the page on models has each kind."
_PATIENCE = 60.0
"""Seconds for the first token of a model: a local one may have to be loaded first."""
_FEW_BYTES, _TOO_FEW_BYTES = 1 << 30, 100 << 20
_COLUMNS = 110
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing.

    Attributes:
        about: the thing.
        state: whether it works, works less well than it could, or keeps prompts from working.
        found: what was seen.
        advice: what to do; empty where it is ok.
    """

    about: str
    state: State
    found: str
    advice: str = ""


async def examine(
    settings: Settings, model: Callable[[Settings], Awaitable[ModelClient]]
) -> AsyncGenerator[Finding, None]:
    """Try one thing after the other. A model that is configured is asked for a word, which costs a few tokens.

    Args:
        model: finds the one that would be asked.
    """
    reached: list[Isolation] = []
    checks: dict[str, Callable[[], Finding | Awaitable[Finding]]] = {
        "Python": _python,
        "ipykernel": _ipykernel,
        **{f"backend {backend.name}": partial(_backend, backend, settings, reached) for backend in BACKENDS},
        "lockdown": partial(_lockdown, reached),
        "model": partial(_model, settings, model),
        "compile cache": _cache,
        "disk": _disk,
    }
    for about, check in checks.items():
        try:
            found = check()
            yield await found if isinstance(found, Awaitable) else found
        except Exception as error:  # what is broken must not keep the rest from being looked at
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


async def _backend(backend: Backend, settings: Settings, reached: list[Isolation]) -> Finding:
    about = f"backend {backend.name}"
    is_wanted = settings.backend == backend.name
    is_last = backend is BACKENDS[-1]
    async with Session(tools=(), model=ScriptedModel(["```python\n6 * 7\n```"] * 2)) as probe:
        try:
            results = [
                await probe.ask("?", settings=replace(settings, backend=backend.name, review=False)) for _ in range(2)
            ]
        except CodeActError as error:
            state: State = "problem" if is_wanted or (is_last and not reached) else "warning"
            advice = explain_start() or "Install codeact-kernel again."
            if is_wanted and not explain_start():
                advice = "Choose another with CODEACT_BACKEND=auto, or %codeact backend auto."
            elif not is_last:
                advice = f"You need do nothing: programs run as {BACKENDS[-1].boundary} instead."
            return Finding(about, state, str(error), advice)
    isolation = results[0].isolation
    if isolation is None or [result.value for result in results] != [42, 42]:
        return Finding(about, "problem", "it started, but did not compute", "Install codeact-kernel again.")
    started, warm = (result.timings.sandbox for result in results)
    reached.append(isolation)
    used = "used" if is_wanted or (settings.backend == AUTO and len(reached) == 1) else "there"
    return Finding(
        about,
        "ok",
        f"{isolation.boundary}: first program after {started:.2f} s, the next after {1000 * warm:.0f} ms; {used}",
    )


def _lockdown(reached: Sequence[Isolation]) -> Finding:
    if not reached:
        return Finding("lockdown", "problem", "no sandbox came up", "See the backends above.")
    missing = sorted({layer for one in reached for layer in one.missing})
    layers = ", ".join(reached[0].layers) or "none"
    if missing:
        advice = "A newer Linux kernel on x86-64 or aarch64 has them; docs/sandbox.md says what each of them stops."
        return Finding("lockdown", "warning", f"{layers}; without {', '.join(missing)}", advice)
    return Finding("lockdown", "ok", layers)


async def _model(settings: Settings, choose: ChooseModel) -> Finding:
    began = time.monotonic()
    try:
        model = await choose(settings)
        async with asyncio.timeout(_PATIENCE):
            first = await _first_token(model)
    except TimeoutError:
        return Finding("model", "problem", f"no answer in {_PATIENCE:.0f} s", "See whether the endpoint is up.")
    except CodeActError as error:
        return Finding(
            "model",
            "problem",
            str(error),
            _SET_UP,
        )
    if model.note:
        return Finding("model", "warning", f"{model.name}: {model.note}", "Configure a model for answers of its own.")
    if not first:
        return Finding("model", "problem", f"{model.name}: an empty answer", "See whether the endpoint is up.")
    where = f", at {model.endpoint}" if hasattr(model, "endpoint") else ""  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    return Finding("model", "ok", f"{model.name}{where}: first token after {time.monotonic() - began:.2f} s")


async def _first_token(model: ModelClient) -> bool:
    if model.note:  # nothing live is behind it
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
            advice = "Make the folder your own, and writable by nobody else."
            return Finding("compile cache", "problem", f"{guest.parent} is not trusted", advice)
    except OSError as error:
        return Finding("compile cache", "problem", str(error), "Set CODEACT_CACHE to a folder of your own.")
    return Finding("compile cache", "ok", f"{guest.parent}: {guest.stat().st_size >> 20} MiB")


def _disk() -> Finding:
    folder = cache_folder()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    found = f"{free / _GIB:.1f} GiB free at {folder}"
    if free < _FEW_BYTES:
        state: State = "problem" if free < _TOO_FEW_BYTES else "warning"
        return Finding(
            "disk", state, found, "The compiled sandbox takes 36 MiB there: make room, or set CODEACT_CACHE."
        )
    return Finding("disk", "ok", found)


def line(finding: Finding) -> str:
    """One finding as text; the advice begins a line of its own."""
    head = f"{finding.state:8} {finding.about:19} "
    paragraphs = [one_line(finding.found), *([one_line(finding.advice)] if finding.advice else [])]
    lines = [text for one in paragraphs for text in textwrap.wrap(one, _COLUMNS - len(head), break_on_hyphens=False)]
    return head + f"\n{'':{len(head)}}".join(lines)


def summary(findings: Iterable[Finding]) -> str:
    """What they come to, in a sentence."""
    states = [one.state for one in findings]
    problems, warnings = states.count("problem"), states.count("warning")
    if problems:
        return f"{problems} problem{'' if problems == 1 else 's'}: prompts will not work until mended."
    if warnings:
        return f"Prompts work. {warnings} thing{'' if warnings == 1 else 's'} could be better."
    return "Everything works."


def as_data(findings: Iterable[Finding], of: str) -> dict[str, object]:
    """The findings for another program to read. `of` is the version that looked."""
    found = list(findings)
    return {
        "version": of,
        "ok": all(one.state != "problem" for one in found),
        "findings": [asdict(one) for one in found],
    }
