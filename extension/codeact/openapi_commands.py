"""The command about tools of OpenAPI descriptions: `%codeact openapi`, with `add` and `remove`."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# IPython has next to no types.

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Sequence

from IPython.core.error import UsageError
from IPython.core.magic_arguments import MagicArgumentParser

from codeact_kernel.errors import UserError
from codeact_kernel.render.escaping import one_line
from codeact_kernel.sources.openapi import load_openapi
from codeact_kernel.sources.openapi_access import DescriptionSource
from codeact_kernel.sources.openapi_call import Header, Revealed
from codeact_kernel.text import format_list, plural
from codeact_kernel.tools import ToolSpec

from .frontend import Frontend

__all__ = ["list_or_change_descriptions"]

_ORIGIN = "openapi:"
_USAGE = (
    "Use %codeact openapi to list the descriptions with their tools, %codeact openapi add URL-or-file [NAME] to offer "
    "the operations of one, and %codeact openapi remove NAME."
)


def list_or_change_descriptions(frontend: Frontend, argument: str) -> None:
    """List the OpenAPI descriptions with their tools, or add or remove one."""
    try:
        words = shlex.split(argument, comments=True)
    except ValueError:
        raise UsageError(_USAGE) from None
    match words:
        case []:
            _list(frontend)
        case ["remove", name]:
            _remove(frontend, name)
        case ["add", *rest] if rest:
            _add(frontend, _parse(rest))
        case _:
            raise UsageError(_USAGE)


def _parse(words: Sequence[str]) -> Namespace:
    parser = MagicArgumentParser(prog="%codeact openapi add", add_help=False)
    parser.add_argument("location")
    parser.add_argument("name", nargs="?", default="")
    parser.add_argument("--server", default="")
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--untrusted", action="store_true")
    return parser.parse_args(words)


def _add(frontend: Frontend, options: Namespace) -> None:
    source = DescriptionSource(
        location=options.location,
        name=options.name,
        server=options.server,
        headers=dict(_find_header(frontend, text) for text in options.header),
        only=options.only,
        untrusted=options.untrusted,
    )
    tools = frontend.session.tools
    description = frontend.thread.submit(load_openapi(source, frontend.settings, tools.names_taken)).result()
    tools.replace_origin(description.origin, description.tools)
    asking = sum(tool.spec.approval_mode == "always_require" for tool in description.tools)
    print(f"{description.name}: {plural(len(description.tools), 'tool')}, {_count_asking(asking)}.")
    print(f"Calls go to {one_line(format_list(description.servers, 5))}.")
    for notice in description.notices:
        print(notice)


def _find_header(frontend: Frontend, text: str) -> tuple[str, Header]:
    """Return a header from `NAME=VARIABLE`. The value is in a variable, so that no key is written into the notebook."""
    name, _, variable = text.partition("=")
    value = frontend.shell.user_ns.get(variable)
    if not isinstance(value, str | Revealed):
        raise UserError(
            f"--header {name[:60]}=VARIABLE needs the name of a variable that holds the header's value: assign it "
            "first, and write its name and not the value."
        )
    return name, value


def _remove(frontend: Frontend, name: str) -> None:
    names = list(_specs_by_name(frontend))
    if name not in names:
        known = f"the descriptions are {format_list(names, 10)}" if names else "there are none"
        raise UserError(f"There is no description {name[:60]!r} to remove: {known}.")
    frontend.session.tools.replace_origin(_ORIGIN + name, [])
    print(f"The tools of {name} are no longer offered.")


def _list(frontend: Frontend) -> None:
    descriptions = _specs_by_name(frontend)
    for name, specs in descriptions.items():
        asking = sum(spec.approval_mode == "always_require" for spec in specs)
        print(f"{name}: {plural(len(specs), 'tool')}, {_count_asking(asking)}")
        for spec in specs:
            own_name = f" ({one_line(spec.own_name)})" if spec.own_name != spec.name else ""
            comment = "asks before each call" if spec.approval_mode == "always_require" else "read only"
            outsiders = ", outsiders write what it returns" if spec.source == "untrusted" else ""
            print(f"    {spec.name}{own_name}  # {comment}{outsiders}")
    if not descriptions:
        print("No descriptions yet: %codeact openapi add URL-or-file offers the operations of one.")


def _specs_by_name(frontend: Frontend) -> dict[str, list[ToolSpec]]:
    found: dict[str, list[ToolSpec]] = {}
    for spec in frontend.session.tools.specs().values():
        if spec.origin.startswith(_ORIGIN):
            found.setdefault(spec.origin.removeprefix(_ORIGIN), []).append(spec)
    return found


def _count_asking(count: int) -> str:
    return f"{count} of them {'asks' if count == 1 else 'ask'} before each call" if count else "all of them read only"
