"""`%codeact VERB`: look at what there is, and choose. Each verb is a function of the magics and the line's rest."""

# pyright: reportUnknownMemberType=false
# IPython has next to no types.

from __future__ import annotations

import dataclasses
import json
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

import codeact_kernel
from codeact_kernel.configuration import OPTIONS, find_project_file, format_value, truncate_for_error
from codeact_kernel.doctor import Finding, as_data, line, summary
from codeact_kernel.errors import CodeActError
from codeact_kernel.model.base import ModelClient
from codeact_kernel.model.recorded import RecordedModel
from codeact_kernel.render.escaping import clip, escaped, plain
from codeact_kernel.settings import Settings
from codeact_kernel.tools import ToolSpec
from codeact_kernel.tools.redaction import without_secrets

from .doctor import run_checks
from .frontend import Frontend

if TYPE_CHECKING:
    from .magics import CodeAct

__all__ = ["ALONE", "VERBS"]

_KERNELS = {
    "python": "every cell is Python; %%codeact asks the model.",
    "marker": "a cell that begins with > and a space is a prompt; every other cell is Python.",
    "auto": "so is a cell of plain prose: three words or more, the first with a capital letter in the first column,\n"
    "          the last with . ? or ! after its last letter; only spaces, commas, dashes and . ? ! between them.",
}
_ENGINE = str(Path(codeact_kernel.__file__).parent)


async def _boundary(door: Frontend, settings: Settings) -> str:
    """What a program would have around it, from a sandbox that really started."""
    pool = door.session.pool(settings)
    async with pool.checkout() as sandbox:
        boundary = str(await sandbox.open())
    return boundary + (f"\n          not a micro-VM: {why}" if (why := pool.selector.passed_over) else "")


async def _model_in_words(door: Frontend, settings: Settings) -> str:
    try:
        model = await door.model(settings)
    except CodeActError as error:
        return str(error)
    return plain(f"{_named(model)}. {model.note}").strip(". ")


def _named(model: ModelClient) -> str:
    """Its name, and where it is: a server may take any name for its own."""
    endpoint = getattr(model, "endpoint", "")
    return plain(f"{model.name}, at {endpoint}" if endpoint else model.name)


def _status(magics: CodeAct, rest: str) -> None:
    door = magics.door
    settings = door.settings
    try:
        boundary = door.thread.submit(_boundary(door, settings)).result()
    except CodeActError as error:  # all else is still worth knowing
        boundary = f"none: {plain(str(error))}"
    model = door.thread.submit(_model_in_words(door, settings)).result()
    allowed = sorted({name for name, _ in door.session.grants.session} | settings.allow)
    print(f"boundary  {boundary}")
    print(f"model     {model}")
    if door.record is not None:
        print(f"record    answers of {plain(door.record.name)}, for where no model is configured")
    print(f"tools     {', '.join(door.session.tools) or 'none yet: mark a function with @tool'}")
    print(f"allowed   {', '.join(allowed) or 'nothing: tools that need approval ask each time'}")
    root = [f"{settings.workspace_root}:/input:ro"] if settings.workspace_root else []
    print(f"files     {plain(', '.join([*root, *map(str, settings.file_mounts)])) or 'none: --mount gives some'}")
    print(f"network   {plain(', '.join(map(str, settings.allowed_domains))) or 'off: --allow-domain allows a host'}")


def _tools(magics: CodeAct, rest: str) -> None:
    door = magics.door
    for spec in door.session.tools.specs().values():
        notes = ["asks before each call"] if spec.approval_mode == "always_require" else []
        notes += ["called by the model itself"] if spec.direct else []
        notes += ["read only"] if spec.read_only else []
        notes += ["outsiders write what it returns"] if spec.source == "untrusted" else []
        line, *more = spec.stub.split("\n")
        said = f" ({', '.join(notes)})" if notes else ""
        print(escaped("\n".join([f"{line}{'' if '  # ' in line or not said else '  #'}{said}", *more])))
    if not len(door.session.tools):
        print("No tools yet: mark a function with @tool.")


def _forget(magics: CodeAct, rest: str) -> None:
    magics.door.session.tools.remove(rest)
    print(f"{rest} is offered no longer.")


def _approvals(magics: CodeAct, rest: str) -> None:
    door = magics.door
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


def _prompt(magics: CodeAct, rest: str) -> None:
    print(magics.door.prompt(rest or "(your prompt)", magics.door.settings, [], []))


def _model(magics: CodeAct, rest: str) -> None:
    door = magics.door
    if rest:
        magics.model = OPTIONS["model"].value(rest, "%codeact model")
        door.session.model = None
    try:
        model = door.thread.submit(door.model(door.settings)).result()
        print(plain(f"{_named(model)} {model.note}").strip())
    except CodeActError as error:
        print(error)


def _recorded(magics: CodeAct, rest: str) -> None:
    if not rest:
        raise UsageError("%codeact recorded FILE: which file?")
    door = magics.door
    door.record = RecordedModel.load(Path(rest))
    try:
        model = door.thread.submit(door.session.choose(door.settings)).result()
    except CodeActError:  # none is configured, or none that can be asked: the prompt will say which
        return
    print(f"{_named(model)} is configured, so it is asked all the same: a record answers only where no model is.")


def _traceback(magics: CodeAct, rest: str) -> None:
    error = magics.door.session.tools.last_error
    if error is None:
        print("No tool has raised anything yet.")
        return
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_ENGINE)]
    print("Traceback (most recent call last):")
    text = "".join([*traceback.format_list(frames), *traceback.format_exception_only(error)])
    print(plain(without_secrets(text)), end="")  # it stays in the notebook's file


def _backend(magics: CodeAct, rest: str) -> None:
    door = magics.door
    wanted = OPTIONS["backend"].value(rest, "%codeact backend") if rest else door.settings.backend
    settings = dataclasses.replace(door.settings, backend=wanted)
    boundary = door.thread.submit(_boundary(door, settings)).result()
    if rest:  # not before: one that does not start is not chosen
        magics.backend = rest
    print(f"{settings.backend:10}{boundary}")


def _reset(magics: CodeAct, rest: str) -> None:
    door = magics.door
    door.session.grants.session.clear()
    door.thread.submit(door.session.reset()).result()
    door.warm()
    print("Fresh sandbox; nothing is allowed for the session any more.")


def _config(magics: CodeAct, rest: str) -> None:
    if rest not in ("", "trust", "distrust"):
        raise UsageError("%codeact config lists every setting; %codeact config trust (or: distrust) is about its file.")
    file = find_project_file()
    if rest and file is None:
        raise UsageError("There is no codeact.toml here, and no pyproject.toml with [tool.codeact].")
    is_seen = file is not None and magics.seen_file == file
    if file is not None and rest == "distrust":
        file.distrust()
    elif file is not None and rest == "trust" and is_seen:
        file.trust()
    resolved = magics.resolved(folder=file)
    values = {name: format_value(value) for name, value in resolved.values.items()}
    width = max(map(len, values.values()))
    for name, value in values.items():
        print(f"{name:17} {plain(value):{width}}  {plain(resolved.places[name])}")
    if file is not None and (file.trusted or resolved.refused):
        print(f"\n{truncate_for_error(file.path, 500)} is {'trusted as it is now' if file.trusted else 'not trusted'}.")
    for one in resolved.refused:
        print(f"Not in force: {plain(one)}. It takes your word: %codeact config trust")
    magics.seen_file = file
    if rest == "trust" and not is_seen:
        print("Nothing is trusted yet: this is what the file wants now. To allow it, run %codeact config trust again.")


def _doctor(magics: CodeAct, rest: str) -> None:
    if rest not in ("", "--json"):
        raise UsageError("%codeact doctor, or %codeact doctor --json.")
    findings: list[Finding] = []
    for finding in run_checks(magics):
        findings.append(finding)
        if not rest:
            print(line(finding), flush=True)
    if rest:
        print(json.dumps(as_data(findings, codeact_kernel.__version__), indent=1))
    else:
        print(summary(findings))


def _kernel(magics: CodeAct, rest: str) -> None:
    if rest:
        magics.kernel = OPTIONS["kernel"].value(rest, "%codeact kernel")
    chosen = magics.resolved().values["kernel"]
    for mode, rule in _KERNELS.items():
        print(f"{'→' if mode == chosen else ' '} {mode:7} {rule}")


ALONE = frozenset({"status", "tools", "traceback", "reset"})
"""Those that nothing may follow."""

VERBS: Mapping[str, Callable[[CodeAct, str], None]] = {
    "status": _status,
    "tools": _tools,
    "approvals": _approvals,
    "forget": _forget,
    "prompt": _prompt,
    "model": _model,
    "recorded": _recorded,
    "traceback": _traceback,
    "backend": _backend,
    "config": _config,
    "doctor": _doctor,
    "kernel": _kernel,
    "reset": _reset,
}
