"""The `%codeact` commands. Dispatch, `%codeact help` and completion are all made from the table at the end."""

# pyright: reportUnknownMemberType=false
# IPython has next to no types.

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from IPython.core.error import UsageError

import codeact_kernel
from codeact_kernel.configuration import OPTIONS, find_project_file, format_value, truncate_for_error
from codeact_kernel.doctor import Finding, as_data, line, summary
from codeact_kernel.errors import CodeActError
from codeact_kernel.model.base import describe_client
from codeact_kernel.model.recorded import RecordedModel
from codeact_kernel.render.escaping import escape_controls, escape_hidden
from codeact_kernel.settings import Settings
from codeact_kernel.text import plural, truncate_middle
from codeact_kernel.tools import ToolSpec

from .budget_command import show_or_set_budget
from .doctor import run_checks
from .frontend import Frontend
from .history_commands import list_turns, print_usage, show_turn
from .keep_commands import keep_as_cell, keep_as_tool
from .mcp_commands import manage_servers
from .memory_commands import list_or_trust_locks, pin_program, show_or_change_thread, unpin_program
from .openapi_commands import list_or_change_descriptions
from .tool_errors import write_tool_error

__all__ = ["COMMANDS", "Command"]

_MODES = {
    "python": "every cell is Python; %%codeact asks the model.",
    "marker": "a cell that begins with > and a space is a prompt; every other cell is Python.",
    "auto": "so is a cell of plain prose: three words or more, the first with a capital letter in the first column,\n"
    "          the last with . ? or ! after its last letter; only spaces, commas, dashes and . ? ! between them.",
}


@dataclass(frozen=True, slots=True)
class Command:
    """One `%codeact` command.

    Attributes:
        name: the word after `%codeact`.
        usage: the arguments as help shows them; a command with an empty usage takes no argument.
        help: one line that says what the command does.
        run: runs the command with the rest of the line, and prints the result.
        complete: the words that Tab offers for the argument.
    """

    name: str
    usage: str
    help: str
    run: Callable[[Frontend, str], None]
    complete: tuple[str, ...] = ()


def _print_status(frontend: Frontend, argument: str) -> None:
    settings = frontend.settings
    try:
        boundary, guest = frontend.thread.submit(_describe_sandbox(frontend, settings)).result()
    except CodeActError as error:  # the rest of the status is still useful
        boundary, guest = f"none: {escape_controls(str(error))}", settings.guest
    model = frontend.thread.submit(_describe_model(frontend, settings)).result()
    allowed = sorted({name for name, _ in frontend.session.grants.session} | settings.allow)
    print(f"boundary  {boundary}")
    print(f"guest     {guest}")
    print(f"model     {model}")
    if frontend.record is not None:
        print(f"record    answers of {escape_controls(frontend.record.name)}, used where no model is configured")
    print(f"tools     {', '.join(frontend.session.tools) or 'none yet: mark a function with @tool'}")
    print(f"allowed   {', '.join(allowed) or 'nothing: tools that need approval ask each time'}")
    root = [f"{settings.workspace_root}:/input:ro"] if settings.workspace_root else []
    mounts = escape_controls(", ".join([*root, *map(str, settings.file_mounts)]))
    domains = escape_controls(", ".join(map(str, settings.allowed_domains)))
    print(f"files     {mounts or 'none: --mount adds a folder'}")
    print(f"network   {domains or 'off: --allow-domain allows a host'}")


async def _describe_sandbox(frontend: Frontend, settings: Settings) -> tuple[str, str]:
    """Start a sandbox. Describe what isolates the programs in it, and its guest."""
    pool, why_standard = await frontend.session.pool(settings)
    async with pool.checkout() as sandbox:
        boundary = str(await sandbox.open())
    passed_over = f"\n          not a micro-VM: {why}" if (why := pool.selector.passed_over) else ""
    guest = f"{pool.guest.name} ({pool.guest.label})" if pool.guest.label else pool.guest.name
    return boundary + passed_over, guest + (f"\n          {why_standard}" if why_standard else "")


async def _describe_model(frontend: Frontend, settings: Settings) -> str:
    try:
        model = await frontend.model(settings)
    except CodeActError as error:
        return str(error)
    return escape_controls(f"{describe_client(model)}. {model.note}").strip(". ")


def _run_doctor(frontend: Frontend, argument: str) -> None:
    if argument not in ("", "--json"):
        raise UsageError("Use %codeact doctor, or %codeact doctor --json.")
    findings: list[Finding] = []
    for finding in run_checks(frontend):
        findings.append(finding)
        if not argument:
            print(line(finding), flush=True)
    if argument:
        print(json.dumps(as_data(findings, codeact_kernel.__version__), indent=1))
    else:
        print(summary(findings))


def _list_tools(frontend: Frontend, argument: str) -> None:
    for spec in frontend.session.tools.specs().values():
        notes = ["asks before each call"] if spec.approval_mode == "always_require" else []
        notes += ["called by the model itself"] if spec.direct else []
        notes += ["read only"] if spec.read_only else []
        notes += ["outsiders write what it returns"] if spec.source == "untrusted" else []
        signature, *other_lines = spec.stub.split("\n")
        comment = f" ({', '.join(notes)})" if notes else ""
        if comment and "  # " not in signature:
            comment = f"  #{comment}"
        print(escape_hidden("\n".join([f"{signature}{comment}", *other_lines])))
    if not len(frontend.session.tools):
        print("No tools yet: mark a function with @tool.")


def _list_or_revoke_approvals(frontend: Frontend, argument: str) -> None:
    grants, specs = frontend.session.grants, frontend.session.tools.specs()
    verb, _, name = argument.partition(" ")
    if verb == "revoke" and name.strip():
        number = grants.revoke(None if name.strip() == "all" else name.strip())
        print(f"Revoked {plural(number, 'permission')}." if number else "There was nothing to revoke.")
        return
    if verb:
        raise UsageError(
            "Use %codeact approvals to list the permissions, and %codeact approvals revoke NAME (or: revoke all) to "
            "remove them."
        )
    for tool, version in sorted(grants.session):
        print(f"{escape_controls(tool)}: for this session{_describe_change(specs, tool, version)}")
    for grant in grants.always:
        day = time.strftime("%Y-%m-%d", time.localtime(grant.since))
        where = "" if grant.folder == str(Path.cwd()) else f", in {escape_controls(grant.folder)}"
        change, arguments = (
            _describe_change(specs, grant.name, grant.version),
            truncate_middle(escape_controls(grant.arguments), 300),
        )
        print(f"{escape_controls(grant.name)}: always with {arguments}, since {day}{where}{change}")
    if not grants.session and not grants.always:
        print("Nothing is remembered: tools that need approval ask each time.")


def _describe_change(specs: Mapping[str, ToolSpec], name: str, version: str) -> str:
    if name not in specs:
        return " (not offered now)"
    return "" if specs[name].version == version else " (the tool has changed since, so it asks again)"


def _forget_tool(frontend: Frontend, argument: str) -> None:
    frontend.session.tools.remove(argument)
    print(f"{argument} is no longer offered.")


def _print_prompt(frontend: Frontend, argument: str) -> None:
    print(frontend.preview(argument or "(your prompt)", frontend.settings))


def _show_or_choose_model(frontend: Frontend, argument: str) -> None:
    if argument:
        frontend.choose("model", OPTIONS["model"].value(argument, "%codeact model"))
        frontend.session.model = None
    try:
        model = frontend.thread.submit(frontend.model(frontend.settings)).result()
        print(escape_controls(f"{describe_client(model)} {model.note}").strip())
    except CodeActError as error:
        print(error)


def _use_record(frontend: Frontend, argument: str) -> None:
    if not argument:
        raise UsageError("Name the file: %codeact recorded FILE.")
    frontend.record = RecordedModel.load(Path(argument))
    try:
        model = frontend.thread.submit(frontend.session.choose(frontend.settings)).result()
    except CodeActError:  # no model is configured, or it cannot be used: the prompt will report the second case
        return
    print(
        f"{escape_controls(describe_client(model))} is configured, so prompts still go to that model: a record is used "
        "only where no model is configured."
    )


def _print_traceback(frontend: Frontend, argument: str) -> None:
    error = frontend.session.tools.last_error
    if error is None:
        print("No tool has raised an error yet.")
        return
    print(write_tool_error(error), end="")  # the output is saved in the notebook's file


def _show_or_choose_backend(frontend: Frontend, argument: str) -> None:
    boundary, _ = _choose_sandbox(frontend, "backend", argument)
    print(f"{frontend.settings.backend:10}{boundary}")


def _show_or_choose_guest(frontend: Frontend, argument: str) -> None:
    _, guest = _choose_sandbox(frontend, "guest", argument)
    print(f"{frontend.settings.guest:10}{guest}")


def _choose_sandbox(frontend: Frontend, option: str, argument: str) -> tuple[str, str]:
    """Start a sandbox with the argument as the value of the option, if there is one. Return what it is."""
    settings = frontend.settings
    if argument:
        settings = dataclasses.replace(settings, **{option: OPTIONS[option].value(argument, f"%codeact {option}")})
    found = frontend.thread.submit(_describe_sandbox(frontend, settings)).result()
    if argument:  # only now, so that a sandbox that does not start is not chosen
        frontend.choose(option, argument)
    return found


def _show_or_trust_config(frontend: Frontend, argument: str) -> None:
    if argument not in ("", "trust", "distrust"):
        raise UsageError(
            "Use %codeact config to list every setting, and %codeact config trust (or: distrust) for the project file."
        )
    file = find_project_file()
    if argument and file is None:
        raise UsageError("This folder has no codeact.toml, and no pyproject.toml with [tool.codeact].")
    was_shown = file is not None and frontend.shown_file == file
    if file is not None and argument == "distrust":
        file.distrust()
    elif file is not None and argument == "trust" and was_shown:
        file.trust()
    resolved = frontend.resolved(folder=file)
    values = {name: format_value(value) for name, value in resolved.values.items()}
    width = max(map(len, values.values()))
    for name, value in values.items():
        print(f"{name:17} {escape_controls(value):{width}}  {escape_controls(resolved.places[name])}")
    if file is not None and (file.trusted or resolved.refused):
        print(f"\n{truncate_for_error(file.path, 500)} is {'trusted as it is now' if file.trusted else 'not trusted'}.")
    for setting in resolved.refused:
        print(f"Not in force: {escape_controls(setting)}. To allow it, run %codeact config trust.")
    frontend.shown_file = file
    if argument == "trust" and not was_shown:
        print("Nothing is trusted yet: these are the file's settings now. To allow them, run the command again.")


def _show_or_choose_mode(frontend: Frontend, argument: str) -> None:
    if argument:
        frontend.choose("kernel", OPTIONS["kernel"].value(argument, "%codeact kernel"))
    chosen = frontend.resolved().values["kernel"]
    for mode, rule in _MODES.items():
        print(f"{'→' if mode == chosen else ' '} {mode:7} {rule}")


def _reset(frontend: Frontend, argument: str) -> None:
    frontend.session.grants.session.clear()
    frontend.thread.submit(frontend.session.reset()).result()
    frontend.warm()
    print("The sandbox is fresh, and nothing is allowed for the session any more.")


def _print_help(frontend: Frontend, argument: str) -> None:
    rows = [
        ("%%codeact [options]", "ask the model; the cell's text is the prompt (%%codeact? lists the options)"),
        ("> [options] prompt", "the same, in the CodeAct kernel or after %codeact kernel marker"),
        *((f"%codeact {command.name} {command.usage}".strip(), command.help) for command in COMMANDS.values()),
    ]
    width = max(len(usage) for usage, _ in rows)
    print("\n".join(f"{usage:{width}}  {text}" for usage, text in rows))


COMMANDS: Mapping[str, Command] = {
    command.name: command
    for command in (
        Command("status", "", "show the boundary, the model and the tools", _print_status),
        Command(
            "doctor", "[--json]", "check that everything works here, and say how to fix what does not", _run_doctor
        ),
        Command("tools", "", "list what programs can call", _list_tools),
        Command(
            "approvals",
            "[revoke NAME|all]",
            "list what is allowed for more than one call, or revoke it",
            _list_or_revoke_approvals,
        ),
        Command(
            "mcp",
            "[add NAME COMMAND …|add NAME URL|add FILE|remove NAME|restart NAME]",
            "list the MCP servers with their tools, or add, end or restart one",
            manage_servers,
            ("add", "remove", "restart"),
        ),
        Command("forget", "NAME", "stop offering this tool", _forget_tool),
        Command(
            "openapi",
            "[add URL|remove NAME]",
            "list the OpenAPI descriptions with their tools, or offer the operations of one",
            list_or_change_descriptions,
            ("add", "remove"),
        ),
        Command(
            "prompt", "TEXT", "show exactly what would be sent for TEXT (IPython removes a ? at its end)", _print_prompt
        ),
        Command(
            "thread",
            "[drop N|clear]",
            "show what the next prompt takes along from earlier prompts, or leave out one or all",
            show_or_change_thread,
            ("drop", "clear"),
        ),
        Command(
            "locks",
            "[trust]",
            "list the programs that are recorded beside the notebook, or let those of others run",
            list_or_trust_locks,
            ("trust",),
        ),
        Command("pin", "", "keep the program of the last prompt, also when you run it again", pin_program),
        Command("unpin", "", "ask the model again when you run the last prompt again", unpin_program),
        Command("to-cell", "", "put the last program into a cell of Python that gives the same value", keep_as_cell),
        Command(
            "to-tool", "NAME [LITERAL …]", "put the last program into a cell as a tool with parameters", keep_as_tool
        ),
        Command("model", "[NAME]", "show the model in use, or choose another", _show_or_choose_model),
        Command("recorded", "FILE", "answer from a record where no model is configured", _use_record),
        Command("traceback", "", "show where the last tool that failed raised its error", _print_traceback),
        Command(
            "backend",
            "[NAME]",
            "show what isolates programs, or choose another backend",
            _show_or_choose_backend,
            tuple(OPTIONS["backend"].choices),
        ),
        Command(
            "guest",
            "[NAME]",
            "show which Python runs programs, or choose another guest",
            _show_or_choose_guest,
            tuple(OPTIONS["guest"].choices),
        ),
        Command(
            "config",
            "[trust|distrust]",
            "list every setting, its value and its origin, or trust the project file",
            _show_or_trust_config,
            ("trust", "distrust"),
        ),
        Command(
            "kernel",
            "[NAME]",
            "choose which cells are prompts without a magic: marker (cells that begin with >), auto, python",
            _show_or_choose_mode,
            tuple(OPTIONS["kernel"].choices),
        ),
        Command("history", "[TEXT]", "list your last turns, or those that contain TEXT", list_turns),
        Command("show", "N", "show the card of an earlier turn", show_turn),
        Command("usage", "", "add up tokens, seconds and money of the last cells, this session and days", print_usage),
        Command(
            "budget",
            "[BUDGET|reset]",
            "show what this session and the last cell used; set the session's budget, or count from zero",
            show_or_set_budget,
            ("reset", "none"),
        ),
        Command("reset", "", "start a fresh sandbox, and forget what is allowed for the session", _reset),
        Command("help", "", "show this text", _print_help),
    )
}
