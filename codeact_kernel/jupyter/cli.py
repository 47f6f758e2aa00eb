"""The command line: `codeact-kernel VERB`, and `python -m codeact_kernel VERB`.

Each verb imports what it needs when it is used.
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
from ..errors import CodeActError

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """The exit code: 0 if it went well, 1 if not, 2 if what was typed is no command."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.act(arguments)
    except CodeActError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="codeact-kernel", description="CodeAct for notebooks.")
    parser.add_argument("--version", action="version", version=f"codeact-kernel {__version__}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    run = verbs.add_parser("run", help="execute a notebook without a front end")
    run.add_argument("notebook", type=Path)
    run.add_argument("--allow", metavar="TOOL,…", default="", help="tools that may run although nobody can be asked")
    run.add_argument("--html", type=Path, metavar="FILE", help="write it as a page")
    run.add_argument("--output", type=Path, metavar="FILE", help="write it as a notebook")
    run.set_defaults(act=_run)

    demo = verbs.add_parser(
        "demo", help="run an example: the sandbox live, the model's answer recorded if you have none"
    )
    demo.add_argument("--html", type=Path, metavar="FILE", help="write it as a page")
    demo.set_defaults(act=_demo)

    doctor = verbs.add_parser("doctor", help="whether everything works here, and what to do where it does not")
    doctor.add_argument("--json", action="store_true", help="for another program to read")
    doctor.set_defaults(act=_doctor)

    install = verbs.add_parser("install", help="put the kernel into Jupyter's list (pip install does that by itself)")
    place = install.add_mutually_exclusive_group()
    place.add_argument("--user", action="store_true", help="for this user (default)")
    place.add_argument("--sys-prefix", action="store_true", help="for the Jupyter in this Python's environment")
    place.add_argument("--prefix", help="for the Jupyter in this folder")
    install.add_argument("--name", default="codeact", help="what --kernel takes (default: codeact)")
    install.add_argument("--display-name", help="what the launcher shows")
    install.set_defaults(act=_install)

    uninstall = verbs.add_parser("uninstall", help="take it out of Jupyter's list")
    uninstall.add_argument("--name", default="codeact")
    uninstall.set_defaults(act=_uninstall)

    verbs.add_parser("list", help="the CodeAct kernels in Jupyter's list").set_defaults(act=_list)
    return parser


def _run(arguments: Namespace) -> int:
    from .run_notebook import run

    return run(arguments.notebook, allow=arguments.allow, html=arguments.html, output=arguments.output)


def _demo(arguments: Namespace) -> int:
    from .run_notebook import demo

    return demo(html=arguments.html)


def _doctor(arguments: Namespace) -> int:
    from ..configuration import environment, find_project_file, resolve
    from ..doctor import Finding, as_data, examine, line, summary
    from ..errors import UserError
    from ..session import Session
    from ..settings import Settings

    async def look() -> list[Finding]:
        findings: list[Finding] = []

        def found(finding: Finding) -> None:
            findings.append(finding)
            if not arguments.json:
                print(line(finding), flush=True)

        try:
            folder = find_project_file()
            settings = resolve([*([folder.layer()] if folder else []), environment()]).settings
        except UserError as error:
            settings = Settings()
            found(Finding("configuration", "problem", str(error), "Correct it: no prompt is asked before."))
        async with Session() as session:
            async for finding in examine(settings, session.choose):
                found(finding)
        return findings

    findings = asyncio.run(look())
    print(json.dumps(as_data(findings, __version__), indent=1) if arguments.json else summary(findings))
    return int(any(finding.state == "problem" for finding in findings))


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

    found = installed()
    for name, (folder, python) in found.items():
        print(f"{name:20} {folder}\n{'':20} starts {python}")
    if not found:
        print("None: codeact-kernel install")
    return 0
