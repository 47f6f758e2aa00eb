"""Check the programs of one turn with preflight, and keep the facts about earlier programs that this needs."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from .. import preflight
from ..events import Notice
from ..model.answer_parser import Extracted
from ..text import format_list
from ..tools import Registry, ToolSpec
from ..types import RunOutcome
from . import prompt
from .context import TurnContext
from .direct_call import DirectCall, direct_call
from .prompt import Feedback

__all__ = ["ProgramChecker"]

_MAX_NAMED = 5


@dataclass(slots=True)
class ProgramChecker:
    """Checks the programs of one turn.

    Args:
        shown: the tools whose stubs are in the prompt; by default all.

    Attributes:
        named: the tools that the last program names.
        sites: the places where it names them.
    """

    context: TurnContext
    shown: Collection[str] | None = None
    named: Sequence[str] = ()
    sites: Sequence[preflight.Site] = ()
    _defined: set[str] = field(default_factory=set[str])
    """Names that earlier programs left in the guest, as far as their text shows."""
    _failed: dict[str, str] = field(default_factory=dict[str, str])
    """Why programs failed or were rejected, by their fingerprints, since the last observation or direct call."""
    _repeated: set[str] = field(default_factory=set[str])
    """Fingerprints of failed programs that the model wrote again, and that it was told about."""

    @property
    def tools(self) -> Registry:
        """The tools of the turn."""
        return self.context.tools

    def callable_tools(self) -> dict[str, ToolSpec]:
        """Return the tools that a program can call, by name."""
        return {name: spec for name, spec in self.context.specs().items() if not spec.direct}

    def direct_tools(self) -> dict[str, ToolSpec]:
        """Return the tools that the model calls itself, by name."""
        return {name: spec for name, spec in self.context.specs().items() if spec.direct}

    def direct_call(self, program: str) -> DirectCall | None:
        """Return the call if the program is nothing but one call of a direct tool, else `None`."""
        return direct_call(program, self.direct_tools())

    def clean(self, written: Extracted) -> Extracted:
        """Return the answer without the imports that its program does not need."""
        if written.program is None:
            return written
        cleaned = preflight.without_needless_imports(
            written.program, self.callable_tools(), self.context.guest.modules(), self.context.capabilities.names
        )
        if not cleaned.names:
            return written
        names = format_list(cleaned.names, _MAX_NAMED)
        self.context.emit(Notice(text=f"The unneeded import of {names} was left out of the program."))
        return replace(written, program=cleaned.program)

    def repeated(self, program: str) -> Feedback | None:
        """Return the feedback for a program that failed before with the same text, or `None` if the program is new."""
        fingerprint = preflight.fingerprint(program)
        if fingerprint not in self._failed:
            return None
        again = fingerprint in self._repeated
        self._repeated.add(fingerprint)
        return prompt.report_repeated(
            self._failed[fingerprint], again=again, max_characters=self.context.limits.shown_to_model
        )

    def remember(self, program: str, feedback: Feedback) -> None:
        """Remember whether the program failed, so that it does not run again in vain."""
        if feedback.charges == "retry":
            self._failed[preflight.fingerprint(program)] = feedback.problem or feedback.reason
        elif feedback.charges in ("observation", "direct_call"):  # the same program may succeed now
            self._failed.clear()

    def check(self, program: str) -> Feedback | None:
        """Check the program before it runs. Return the feedback for the model if preflight rejects it, else `None`."""
        if (call := self.direct_call(program)) is not None:
            return prompt.report_rejection([call.problem]) if call.problem else None
        report = self._report(program)
        self.named, self.sites = report.tools_named, report.sites
        problems = [problem.message for problem in report.problems]
        if not problems:
            return None
        first = report.problems[0]
        unseen = [spec for spec in self.specs_named() if self.shown is not None and spec.name not in self.shown]
        return prompt.report_rejection(problems, line=first.line, fault=first.fault, tools=unseen)

    def is_valid_prefix(self, beginning: str) -> bool:
        """Return whether preflight accepts the beginning of a program."""
        tools, names = self.callable_tools(), self.context.capabilities.names
        if preflight.without_needless_imports(beginning, tools, self.context.guest.modules(), names).names:
            return False  # the program that runs later will not have these imports
        return not self._report(beginning).problems

    def remember_names(self, program: str, outcome: RunOutcome) -> None:
        """Remember the names of the program for the next one, or forget all names if the guest is gone."""
        self._defined = set() if outcome.state_lost else self._defined | set(re.findall(r"\w+", program))

    def specs_named(self) -> list[ToolSpec]:
        """Return the specs of the tools that the program names, with the return types that calls have shown."""
        specs = self.context.specs()
        return [specs[name] for name in self.named if name in specs]

    def _report(self, program: str) -> preflight.Report:
        return preflight.check(
            program,
            self.callable_tools(),
            self.context.guest.modules(),
            self._defined | self.context.capabilities.names,
            direct=self.direct_tools(),
            program_bytes=self.context.limits.program_bytes,
        )
