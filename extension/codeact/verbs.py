"""`%codeact VERB`: look at what there is, and choose. Each verb is a function of the door and the rest of the line."""

from __future__ import annotations

import dataclasses
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from IPython.core.error import UsageError

import codeact_kernel
from codeact_kernel.errors import CodeActError
from codeact_kernel.model.recorded import RecordedModel
from codeact_kernel.render.safe import clip, plain
from codeact_kernel.settings import Settings
from codeact_kernel.tools import ToolSpec

from .door import Door

__all__ = ["HELP", "VERBS"]

HELP = """\
%%codeact [options]     ask the model; the cell's text is the prompt (%%codeact? lists the options)
%codeact status         the boundary, the model, the tools
%codeact tools          what programs can call
%codeact approvals      what was allowed for longer; with "revoke NAME" or "revoke all", no longer
%codeact forget NAME    offer this tool no longer
%codeact prompt TEXT    exactly what would be sent for TEXT (IPython takes a ? at its end for itself)
%codeact model [NAME]   the model in use; with NAME, another one
%codeact recorded FILE  where no model is configured, answer from a record
%codeact traceback      where the tool that failed last raised its error
%codeact backend [NAME] what isolates programs; with NAME, another one
%codeact reset          fresh sandbox, forget what was allowed for the session
%codeact help           this text"""

_ENGINE = str(Path(codeact_kernel.__file__).parent)


def _help(door: Door, rest: str) -> None:
    print(HELP)


async def _boundary(door: Door, settings: Settings) -> str:
    """What a program would have around it, from a sandbox that really started."""
    pool = await door.session.pool(settings)
    async with pool.checkout() as sandbox:
        boundary = str(await sandbox.open())
    return boundary + (f"\n          not a micro-VM: {why}" if (why := pool.choice.passed_over) else "")


async def _model_in_words(door: Door, settings: Settings) -> str:
    try:
        model = await door.model(settings)
    except CodeActError as error:
        return str(error)
    return f"{model.name}. {model.note}".strip(". ")


def _status(door: Door, rest: str) -> None:
    settings = door.settings
    boundary = door.thread.submit(_boundary(door, settings)).result()
    model = door.thread.submit(_model_in_words(door, settings)).result()
    allowed = sorted({name for name, _ in door.session.grants.session} | settings.allow)
    print(f"boundary  {boundary}")
    print(f"model     {model}")
    print(f"tools     {', '.join(door.session.tools) or 'none yet: mark a function with @tool'}")
    print(f"allowed   {', '.join(allowed) or 'nothing: tools that need approval ask each time'}")


def _tools(door: Door, rest: str) -> None:
    for spec in door.session.tools.specs().values():
        print(spec.stub + ("  # asks before each call" if spec.approval_mode == "always_require" else ""))
    if not len(door.session.tools):
        print("No tools yet: mark a function with @tool.")


def _forget(door: Door, rest: str) -> None:
    door.session.tools.remove(rest)
    print(f"{rest} is offered no longer.")


def _approvals(door: Door, rest: str) -> None:
    grants, specs = door.session.grants, door.session.tools.specs()
    verb, _, name = rest.partition(" ")
    if verb == "revoke" and name.strip():
        number = grants.revoke(None if name.strip() == "all" else name.strip())
        print(f"Revoked {number} permission{'' if number == 1 else 's'}." if number else "There was nothing to revoke.")
        return
    if verb:
        raise UsageError("%codeact approvals lists; %codeact approvals revoke NAME (or: revoke all) forgets.")
    for tool, version in sorted(grants.session):
        print(f"{plain(tool)}: for this session{_changed(specs, tool, version)}")
    for one in grants.always:
        day = time.strftime("%Y-%m-%d", time.localtime(one.since))
        where = "" if one.folder == str(Path.cwd()) else f", in {plain(one.folder)}"
        changed = _changed(specs, one.name, one.version)
        print(f"{plain(one.name)}: always with {clip(plain(one.arguments), 300)}, since {day}{where}{changed}")
    if not grants.session and not grants.always:
        print("Nothing is remembered: tools that need approval ask each time.")


def _changed(specs: Mapping[str, ToolSpec], name: str, version: str) -> str:
    if name not in specs:
        return " (not offered now)"
    return "" if specs[name].version == version else " (the tool has changed since: it asks again)"


def _prompt(door: Door, rest: str) -> None:
    print(door.prompt(rest or "(your prompt)"))


def _model(door: Door, rest: str) -> None:
    if rest:
        door.choose(model=rest)
        door.session.model = None
    try:
        model = door.thread.submit(door.model(door.settings)).result()
        print(f"{model.name} {model.note}".strip())
    except CodeActError as error:
        print(error)


def _recorded(door: Door, rest: str) -> None:
    if not rest:
        raise UsageError("%codeact recorded FILE: which file?")
    door.record = RecordedModel.load(Path(rest))


def _traceback(door: Door, rest: str) -> None:
    error = door.session.tools.last_error
    if error is None:
        print("No tool has raised anything yet.")
        return
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_ENGINE)]
    print("Traceback (most recent call last):")
    print(plain("".join([*traceback.format_list(frames), *traceback.format_exception_only(error)])), end="")


def _backend(door: Door, rest: str) -> None:
    settings = dataclasses.replace(door.settings, backend=rest or door.settings.backend)
    boundary = door.thread.submit(_boundary(door, settings)).result()
    if rest:  # not before: one that does not start is not chosen
        door.choose(backend=rest)
    print(f"{settings.backend:10}{boundary}")


def _reset(door: Door, rest: str) -> None:
    door.session.grants.session.clear()
    door.thread.submit(door.session.reset()).result()
    door.warm()
    print("Fresh sandbox; nothing is allowed for the session any more.")


VERBS: Mapping[str, Callable[[Door, str], None]] = {
    "status": _status,
    "tools": _tools,
    "approvals": _approvals,
    "forget": _forget,
    "prompt": _prompt,
    "model": _model,
    "recorded": _recorded,
    "traceback": _traceback,
    "backend": _backend,
    "reset": _reset,
    "help": _help,
}
