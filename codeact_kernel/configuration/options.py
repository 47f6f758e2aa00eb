"""The options, as one table from which the magics, the configuration, the environment and the documentation derive.

To add an option, add it to `OPTIONS` and, if the engine uses it, a field of the same name to `Settings`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, get_args

from ..access import allowed_domains, file_mounts, mcp_servers
from ..budgets import Budget, parse_budget
from ..errors import UserError
from ..guest.kinds import GUEST_NAMES, STANDARD
from ..sandbox.backends import BACKEND_NAMES, BACKENDS
from ..settings import Settings, parse_memory
from ..types import CardStyle
from .limit_options import is_narrower, parse_limits
from .messages import truncate_for_error
from .parsers import Read, names, one_of, root, seconds, seconds_or_never, size, switch, text, whole

__all__ = ["OPTIONS", "PREFIX", "Option"]

PREFIX = "CODEACT_"
NOT_OPTIONS = frozenset({"CODEACT_CACHE", "CODEACT_TRUST_LOCKS", "CODEACT_LOCKED", "CODEACT_LOCKED_REPORT"})
"""Variables with our prefix that are not options: the folder of the cache, whether recorded programs of any folder may
run, and what `codeact-kernel run --locked` and `test` tell their kernels."""

_DEFAULT: Final = Settings()
_MAX_REASON = 1_000
"""Characters of the reason why a value is not valid."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One option.

    Attributes:
        name: the key in files and of `c.CodeAct`; `flag` and `variable` derive from it.
        help: a description in a few words, without a full stop.
        kind: a description of the valid values.
        read: parses a value from text or from the types of TOML and Python; raises ValueError if it is not valid.
        default: the default value; `None` if it is decided elsewhere.
        is_narrower: whether the first value allows nothing and costs nothing that the second value does not. A project
            may set such a value without being trusted.
        in_cell: whether a cell can set the option.
        choices: all valid values, if there are only a few.
        adds: whether a value is added to those of weaker places.
        to_setting: converts a value to what `Settings` has; most values stay as they are.
        special_flag: the flag, if it does not derive from the name.
    """

    name: str
    help: str
    kind: str
    read: Read
    default: Any
    is_narrower: Callable[[Any, Any], bool]
    in_cell: bool = True
    choices: tuple[str, ...] = ()
    adds: bool = False
    to_setting: Callable[[Any], Any] = lambda value: value
    special_flag: str = ""

    @property
    def flag(self) -> str:
        """The name in a cell and on the command line."""
        return self.special_flag or "--" + self.name.replace("_", "-")

    def merge(self, old: Any, new: Any) -> Any:
        """Return the value after a stronger place has set `new`."""
        if not self.adds:
            return new
        # The last of two limits with the same name wins, so a repeated value moves to the end.
        return old | new if isinstance(old, frozenset) else tuple(dict.fromkeys([*new[::-1], *old[::-1]]))[::-1]

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return PREFIX + self.name.upper()

    def value(self, given: object, where: str) -> Any:
        """Parse a value.

        Args:
            where: the place of the value for messages, for example `--timeout`.

        Raises:
            UserError: if the value is not valid.
        """
        try:
            return self.read(given)
        except UserError as error:
            raise UserError(
                f"{where}: {truncate_for_error(error, _MAX_REASON)}"
            ) from None  # it may quote a file of the folder
        except (LookupError, OverflowError, TypeError, ValueError):
            raise UserError(f"{where}: {truncate_for_error(given)!r} is not {self.kind}.") from None


def _at_most(new: Any, old: Any) -> bool:
    return bool(new <= old)


def _is_subset(new: Any, old: Any) -> bool:
    return set(new) <= set(old)


def _is_within(new: Budget, old: Budget) -> bool:
    return new.is_within(old)


def _is_equal(new: Any, old: Any) -> bool:
    return bool(new == old)


_CARD_STYLES: Final[tuple[str, ...]] = get_args(CardStyle)
_REUSE_MODES = ("auto", "never", "always")
_APPROVAL_UIS = ("auto", "stdin")
_KERNEL_MODES = ("python", "marker", "auto")
_BUDGET = "20000tokens, $0.05 or 50calls, several with commas between them, or none"
_SECONDS = "a number of seconds, more than 0 and at most 86400"

OPTIONS: Final[dict[str, Option]] = {
    option.name: option
    for option in (
        Option(
            name="model",
            help="the model's name at the endpoint",
            kind="the name of a model",
            read=text,
            default=_DEFAULT.model,
            is_narrower=_is_equal,  # the name decides who reads the prompt, and what that costs
        ),
        Option(
            name="max_retries",
            help="how many times the model may fix a failed program",
            kind="a whole number from 0 to 20",
            read=whole(0, 20),
            default=_DEFAULT.max_retries,
            is_narrower=_at_most,
        ),
        Option(
            name="timeout",
            help="seconds that one run of a program may take, without the time of tools and approvals",
            kind=_SECONDS,
            read=seconds,
            default=_DEFAULT.limits.run_seconds,
            is_narrower=_at_most,
        ),
        Option(
            name="memory",
            help="memory of the sandbox",
            kind="a memory size: use 64Mi to 2Gi, for example 256Mi",
            read=size,
            to_setting=parse_memory,
            default="256Mi",
            is_narrower=lambda new, old: parse_memory(new) <= parse_memory(old),
        ),
        Option(
            name="limits",
            help="other limits: of calls, sizes, files and more; added to those of other places",
            kind="calls_per_run=100 or show.items=5, or several separated by commas",
            read=parse_limits,
            default=(),
            is_narrower=is_narrower,
            adds=True,
        ),
        Option(
            name="budget",
            help="what one cell may use: tokens, money and calls of tools",
            kind=_BUDGET,
            read=parse_budget,
            default=_DEFAULT.budget,
            is_narrower=_is_within,
        ),
        Option(
            name="session_budget",
            help="what all cells may use together until the kernel restarts",
            kind=_BUDGET,
            read=parse_budget,
            default=_DEFAULT.session_budget,
            is_narrower=_is_within,
            in_cell=False,
        ),
        Option(
            name="backend",
            help="how programs are isolated; auto is a micro-VM if one starts",
            kind=f"a backend: choose {', '.join(BACKEND_NAMES[:-1])} or {BACKEND_NAMES[-1]}",
            read=one_of(*BACKEND_NAMES),
            choices=BACKEND_NAMES,
            default=_DEFAULT.backend,
            is_narrower=lambda new, old: new in (old, BACKENDS[0].name),
        ),
        Option(
            name="guest",
            help="the Python of programs; science has pandas, and auto takes it where it is installed and possible",
            kind=f"a guest: choose {', '.join(GUEST_NAMES[:-1])} or {GUEST_NAMES[-1]}",
            read=one_of(*GUEST_NAMES),
            choices=GUEST_NAMES,
            default=_DEFAULT.guest,
            is_narrower=lambda new, old: new in (old, STANDARD.name),
        ),
        Option(
            name="allow",
            help="tools that require approval but run without it; added to those of other places",
            kind="a name of a tool, or several separated by commas",
            read=names,
            default=_DEFAULT.allow,
            is_narrower=_at_most,  # of sets: a subset
            adds=True,
        ),
        Option(
            name="file_mounts",
            help="folders and files that programs see below /input, read-only without :rw; added to those of other "
            "places",
            kind="/host/folder, /host/folder:/name or /host/folder:/name:rw, or several separated by commas",
            read=file_mounts,
            default=_DEFAULT.file_mounts,
            is_narrower=_is_subset,
            adds=True,
            special_flag="--mount",
        ),
        Option(
            name="workspace_root",
            help="a folder that programs see as /input itself, read-only",
            kind="a folder",
            read=root,
            default=_DEFAULT.workspace_root,
            is_narrower=lambda new, old: new in (None, old),
        ),
        Option(
            name="allowed_domains",
            help="hosts that programs may send requests to; added to those of other places",
            kind="api.example.com, https://host:port or GET api.example.com, or several separated by commas",
            read=allowed_domains,
            default=_DEFAULT.allowed_domains,
            is_narrower=_is_subset,
            adds=True,
            special_flag="--allow-domain",
        ),
        Option(
            name="mcp",
            help="MCP servers whose tools programs may call; added to those of other places",
            kind='a table of servers, or as text their JSON: {"mcpServers": {"git": {"command": "…"}}}',
            read=mcp_servers,
            default=_DEFAULT.mcp,
            is_narrower=_is_subset,  # a server is a program of somebody that runs on this machine
            in_cell=False,
            adds=True,
        ),
        Option(
            name="review",
            help="show each program before it runs: run it, edit it, or reject it",
            kind="true or false",
            read=switch,
            default=_DEFAULT.review,
            is_narrower=lambda new, old: new >= old,
        ),
        Option(
            name="wait",
            help="start a program only when the model has written all of it; otherwise its reading calls start earlier",
            kind="true or false",
            read=switch,
            default=_DEFAULT.wait,
            is_narrower=lambda new, old: new >= old,
        ),
        Option(
            name="reuse",
            help="when a recorded program answers a prompt instead of the model: the first time in a kernel (auto), "
            "never, or always, so that a prompt without one fails",
            kind="one of auto, never, always",
            read=one_of(*_REUSE_MODES),
            choices=_REUSE_MODES,
            default=_DEFAULT.reuse,
            is_narrower=lambda new, old: new in ("always", old),  # it never asks the model
        ),
        Option(
            name="card",
            help="what is open below the answer of a finished cell: nothing (answer), the program, or all (full)",
            kind=f"one of {', '.join(_CARD_STYLES)}",
            read=one_of(*_CARD_STYLES),
            choices=_CARD_STYLES,
            default="answer",
            is_narrower=lambda new, old: new in ("full", old),  # it hides nothing
        ),
        Option(
            name="approval_timeout",
            help="seconds until an unanswered approval request is denied; by default it waits",
            kind=f"{_SECONDS}, or never",
            read=seconds_or_never,
            default=_DEFAULT.limits.decision_seconds,
            is_narrower=lambda new, old: old is None or (new is not None and new <= old),
        ),
        Option(
            name="approval_ui",
            help="where approvals are requested: on the card if the page shows it (auto), or with input() (stdin)",
            kind="one of auto, stdin",
            read=one_of(*_APPROVAL_UIS),
            choices=_APPROVAL_UIS,
            default="auto",
            is_narrower=_is_equal,  # the card shows more than a line of input() can
            in_cell=False,
        ),
        Option(
            name="kernel",
            help="which cells are prompts without %%codeact: none (python), those that begin with > (marker), "
            "also plain prose (auto)",
            kind="one of python, marker, auto",
            read=one_of(*_KERNEL_MODES),
            choices=_KERNEL_MODES,
            default="python",
            is_narrower=_is_equal,
            in_cell=False,
        ),
        Option(
            name="history",
            help="keep every turn in your history, which %codeact history lists",
            kind="true or false",
            read=switch,
            default=True,
            is_narrower=_at_most,
            in_cell=False,
        ),
        Option(
            name="history_days",
            help="days after which a turn is deleted from your history",
            kind="a whole number from 1 to 36500",
            read=whole(1, 36_500),
            default=365,
            is_narrower=_is_equal,  # there is one history for all projects: none may delete the turns of the others
            in_cell=False,
        ),
    )
}
"""Every option by its name, in the order in which they are listed."""
