"""What a person can choose, as one table: magics, configuration, environment and documentation are made from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ..access import allowed_domains, file_mounts
from ..errors import UserError
from ..sandbox.backends import BACKEND_NAMES, BACKENDS
from ..settings import Settings, parse_memory
from .limit_options import narrows, read_caps
from .messages import truncate_for_error
from .parsers import Read, names, one_of, root, seconds, seconds_or_never, size, switch, text, whole

__all__ = ["OPTIONS", "PREFIX", "Option"]

PREFIX = "CODEACT_"
NOT_OPTIONS = frozenset({"CODEACT_CACHE"})
"""Variables with our prefix that choose something else: where the cache lies."""

_DEFAULT: Final = Settings()
_SENTENCE = 1_000
"""Characters of a sentence about a value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One thing that can be chosen.

    Attributes:
        name: the key in files and of `c.CodeAct`; `flag` and `variable` follow from it.
        help: what it does, in a few words without a full stop.
        kind: what a value looks like, for people.
        read: makes the value, from text or from what TOML and Python have for it; raises ValueError.
        default: `None` where something else decides.
        narrower: whether the first value permits or costs nothing that the second does not. Such a value may stand in
            a project's folder; any other needs the person's word.
        in_cell: whether a cell has an option for it.
        choices: all the values that there are, where they are few.
        adds: whether a value adds to what weaker places say.
        to_setting: converts a value to what `Settings` has; most values stay as they are.
        spelled: the flag, where it is not made of the name.
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
    spelled: str = ""

    @property
    def flag(self) -> str:
        """In a cell and on the command line."""
        return self.spelled or "--" + self.name.replace("_", "-")

    def merge(self, old: Any, new: Any) -> Any:
        """What holds when a stronger place says `new`."""
        if not self.adds:
            return new
        # Of two caps with one name the last holds: what is said again moves to the end.
        return old | new if isinstance(old, frozenset) else tuple(dict.fromkeys([*new[::-1], *old[::-1]]))[::-1]

    @property
    def variable(self) -> str:
        """In the environment."""
        return PREFIX + self.name.upper()

    def value(self, given: object, where: str) -> Any:
        """The value that somebody gave.

        Args:
            where: what they wrote it into, for example `--timeout`.

        Raises:
            UserError: it is not of its kind.
        """
        try:
            return self.read(given)
        except UserError as error:
            raise UserError(
                f"{where}: {truncate_for_error(error, _SENTENCE)}"
            ) from None  # it may quote what a folder's file says
        except (LookupError, OverflowError, TypeError, ValueError):
            raise UserError(f"{where}: {truncate_for_error(given)!r} is not {self.kind}.") from None


def _at_most(new: Any, old: Any) -> bool:
    return bool(new <= old)


def _among(new: Any, old: Any) -> bool:
    return set(new) <= set(old)


def _same(new: Any, old: Any) -> bool:
    return bool(new == old)


_QUESTIONS = ("auto", "stdin")
_PROMPTS = ("python", "marker", "auto")
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
            is_narrower=_same,  # the name decides who reads the prompt, and what that costs
        ),
        Option(
            name="max_retries",
            help="how often the model may mend a program that failed",
            kind="a whole number from 0 to 20",
            read=whole(0, 20),
            default=_DEFAULT.max_retries,
            is_narrower=_at_most,
        ),
        Option(
            name="timeout",
            help="seconds that one run of a program may take, without the time of tools and decisions",
            kind=_SECONDS,
            read=seconds,
            default=_DEFAULT.limits.run_seconds,
            is_narrower=_at_most,
        ),
        Option(
            name="memory",
            help="what the program may use",
            kind="a memory for a sandbox: give a size from 64Mi to 2Gi, for example 256Mi",
            read=size,
            to_setting=parse_memory,
            default="256Mi",
            is_narrower=lambda new, old: parse_memory(new) <= parse_memory(old),
        ),
        Option(
            name="limits",
            help="other caps: of calls, sizes, files and more; adds to what other places say",
            kind="calls_per_run=100 or show.items=5, or several with commas between them",
            read=read_caps,
            default=(),
            is_narrower=narrows,
            adds=True,
        ),
        Option(
            name="backend",
            help="what isolates the program; auto is a micro-VM where one starts",
            kind=f"a backend: choose {', '.join(BACKEND_NAMES[:-1])} or {BACKEND_NAMES[-1]}",
            read=one_of(*BACKEND_NAMES),
            choices=BACKEND_NAMES,
            default=_DEFAULT.backend,
            is_narrower=lambda new, old: new in (old, BACKENDS[0].name),
        ),
        Option(
            name="allow",
            help="tools that run without a question although they ask for approval; adds to what other places allow",
            kind="a name of a tool, or several with commas between them",
            read=names,
            default=_DEFAULT.allow,
            is_narrower=_at_most,  # of sets: a subset
            adds=True,
        ),
        Option(
            name="file_mounts",
            help="folders and files that programs see below /input, read-only unless :rw is said; adds to what other "
            "places mount",
            kind="/host/folder, /host/folder:/name or /host/folder:/name:rw, or several with commas between them",
            read=file_mounts,
            default=_DEFAULT.file_mounts,
            is_narrower=_among,
            adds=True,
            spelled="--mount",
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
            help="hosts that programs may send requests to; adds to what other places allow",
            kind="api.example.com, https://host:port or GET api.example.com, or several with commas between them",
            read=allowed_domains,
            default=_DEFAULT.allowed_domains,
            is_narrower=_among,
            adds=True,
            spelled="--allow-domain",
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
            help="run nothing before the model has written the whole program; without it reading begins at once",
            kind="true or false",
            read=switch,
            default=_DEFAULT.wait,
            is_narrower=lambda new, old: new >= old,
        ),
        Option(
            name="approval_timeout",
            help="seconds after which a question that nobody answered is a no; without one it waits",
            kind=f"{_SECONDS}, or never",
            read=seconds_or_never,
            default=_DEFAULT.limits.decision_seconds,
            is_narrower=lambda new, old: old is None or (new is not None and new <= old),
        ),
        Option(
            name="approval_ui",
            help="where approvals are asked: on the card where a page shows it (auto), or with input() (stdin)",
            kind="one of auto, stdin",
            read=one_of(*_QUESTIONS),
            choices=_QUESTIONS,
            default="auto",
            is_narrower=_same,  # the card shows more than a line of input() can
            in_cell=False,
        ),
        Option(
            name="kernel",
            help="which cells are prompts without %%codeact: none (python), those that begin with > (marker), "
            "plain prose too (auto)",
            kind="one of python, marker, auto",
            read=one_of(*_PROMPTS),
            choices=_PROMPTS,
            default="python",
            is_narrower=_same,
            in_cell=False,
        ),
    )
}
"""Every option by its name, in the order in which they are shown."""
