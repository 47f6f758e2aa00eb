"""The command line: `codeact-kernel COMMAND`, and `python -m codeact_kernel COMMAND`.

Each command has its own imports, so that the others start fast.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..configuration import add_program_options, environment, find_project_file, parse_program_options, resolve
from ..errors import CodeActError, UserError

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run a command and return the exit code: 0 for success, 1 for failure, 2 for an invalid command line."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.act(arguments)
    except CodeActError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of the output is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="codeact-kernel", description="CodeAct for notebooks.")
    parser.add_argument("--version", action="version", version=f"codeact-kernel {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="execute a notebook without a front end")
    run.add_argument("notebook", type=Path)
    run.add_argument("--allow", metavar="TOOL,…", default="", help="tools that may run without asking")
    run.add_argument("--html", type=Path, metavar="FILE", help="write the result as an HTML page")
    run.add_argument("--output", type=Path, metavar="FILE", help="write the result as a notebook")
    run.add_argument("--locked", action="store_true", help="never ask a model: a prompt without a fitting record fails")
    run.set_defaults(act=_run)

    test = commands.add_parser("test", help="repeat the recorded prompts of a notebook, and show what differs")
    test.add_argument("notebook", type=Path)
    test.set_defaults(act=_test)

    demo = commands.add_parser("demo", help="run an example, with a recorded answer if no model is configured")
    demo.add_argument("--html", type=Path, metavar="FILE", help="write the result as an HTML page")
    demo.set_defaults(act=_demo)

    doctor = commands.add_parser("doctor", help="check whether everything works here, and say how to fix problems")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(act=_doctor)

    guest = commands.add_parser("guest", help="list the Pythons of the sandbox, or compile the one with pandas")
    guest.add_argument("action", nargs="?", choices=["list", "install", "remove"], default="list")
    guest.add_argument("name", nargs="?", choices=["science"], default="science")
    guest.set_defaults(act=_guest)

    mcp = commands.add_parser("mcp", help="offer the sandbox to other agents, as an MCP server on stdin and stdout")
    mcp.add_argument(
        "--tools",
        action="append",
        default=[],
        metavar="MODULE[:NAME,…]",
        help="functions that programs can call: of a module, also in this folder, or of path/to/file.py; without "
        "names, those that it marks with @tool; can be repeated",
    )
    add_program_options(mcp)
    mcp.set_defaults(act=_mcp)

    install = commands.add_parser("install", help="add the kernel to Jupyter (pip install does this already)")
    place = install.add_mutually_exclusive_group()
    place.add_argument("--user", action="store_true", help="for this user (default)")
    place.add_argument("--sys-prefix", action="store_true", help="for the Jupyter in this Python's environment")
    place.add_argument("--prefix", help="for the Jupyter in this folder")
    install.add_argument("--name", default="codeact", help="the name for --kernel (default: codeact)")
    install.add_argument("--display-name", help="the name in the launcher")
    install.set_defaults(act=_install)

    uninstall = commands.add_parser("uninstall", help="remove the kernel from Jupyter")
    uninstall.add_argument("--name", default="codeact")
    uninstall.set_defaults(act=_uninstall)

    commands.add_parser("list", help="list the CodeAct kernels in Jupyter").set_defaults(act=_list)
    return parser


def _run(arguments: Namespace) -> int:
    from .run_notebook import run

    return run(
        arguments.notebook,
        allow=arguments.allow,
        html=arguments.html,
        output=arguments.output,
        locked=arguments.locked,
    )


def _test(arguments: Namespace) -> int:
    from .check_notebook import test

    return test(arguments.notebook)


def _demo(arguments: Namespace) -> int:
    from .run_notebook import demo

    return demo(html=arguments.html)


def _doctor(arguments: Namespace) -> int:
    from ..doctor import Finding, as_data, examine, line, summary
    from ..session import Session
    from ..settings import Settings

    async def run_checks() -> list[Finding]:
        findings: list[Finding] = []

        def report(finding: Finding) -> None:
            findings.append(finding)
            if not arguments.json:
                print(line(finding), flush=True)

        try:
            folder = find_project_file()
            settings = resolve([*([folder.layer()] if folder else []), environment()]).settings
        except UserError as error:
            settings = Settings()
            report(Finding("configuration", "problem", str(error), "Correct it: until then, no prompt can run."))
        async with Session() as session:
            async for finding in examine(settings, session.choose):
                report(finding)
        return findings

    findings = asyncio.run(run_checks())
    print(json.dumps(as_data(findings, __version__), indent=1) if arguments.json else summary(findings))
    return int(any(finding.state == "problem" for finding in findings))


def _guest(arguments: Namespace) -> int:
    from . import guest_command

    acts = {"install": guest_command.install, "remove": guest_command.remove, "list": guest_command.list_guests}
    return acts[arguments.action]()


def _mcp(arguments: Namespace) -> int:
    from ..server.command import serve

    return serve(arguments.tools, resolve([environment(), parse_program_options(arguments)]).settings)


def _install(arguments: Namespace) -> int:
    from .kernelspecs import install

    prefix = sys.prefix if arguments.sys_prefix else arguments.prefix
    print(
        *install(user=prefix is None, prefix=prefix, name=arguments.name, display_name=arguments.display_name), sep="\n"
    )
    return 0


def _uninstall(arguments: Namespace) -> int:
    from .kernelspecs import uninstall

    print(f"Removed {uninstall(arguments.name)}.")
    return 0


def _list(arguments: Namespace) -> int:
    from .kernelspecs import installed

    kernels = installed()
    for name, (folder, python) in kernels.items():
        print(f"{name:20} {folder}\n{'':20} starts {python}")
    if not kernels:
        print("No CodeAct kernel is installed: run codeact-kernel install.")
    return 0
