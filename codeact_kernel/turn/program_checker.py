"""What preflight says of the programs of one turn, and what it has to know for that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .. import preflight
from ..events import Notice
from ..guest import modules
from ..model.answer_parser import Extracted
from ..text import format_list
from ..tools import Registry, ToolSpec
from ..types import RunOutcome
from . import prompt
from .context import TurnContext
from .direct_call import DirectCall, direct_call
from .prompt import Feedback

__all__ = ["ProgramChecker"]

_NAMED = 5


@dataclass(slots=True)
class ProgramChecker:
    """Attributes:
    named: the tools that the last program names.
    sites: where it names them.
    """

    context: TurnContext
    named: Sequence[str] = ()
    sites: Sequence[preflight.Site] = ()
    _defined: set[str] = field(default_factory=set[str])
    """Names that programs before left in the guest, as far as their text tells."""
    _failed: dict[str, str] = field(default_factory=dict[str, str])
    """Why programs failed or were refused, by their fingerprints: all since the last one that came to its end."""
    _repeated: set[str] = field(default_factory=set[str])
    """Those of them that the model wrote again, and was told so."""

    @property
    def tools(self) -> Registry:
        """The tools of the turn."""
        return self.context.tools

    def callable(self) -> dict[str, ToolSpec]:
        """The tools that a program can call, by name."""
        return {name: spec for name, spec in self.context.tools.specs().items() if not spec.direct}

    def direct(self) -> dict[str, ToolSpec]:
        """The tools that the model calls itself."""
        return {name: spec for name, spec in self.context.tools.specs().items() if spec.direct}

    def direct_call(self, program: str) -> DirectCall | None:
        """The call of such a tool that the program is, and nothing else."""
        return direct_call(program, self.direct())

    def clean(self, written: Extracted) -> Extracted:
        """The answer without the imports that its program does not need."""
        if written.program is None:
            return written
        cleaned = preflight.without_needless_imports(
            written.program, self.callable(), modules(), self.context.capabilities.names
        )
        if not cleaned.names:
            return written
        names = format_list(cleaned.names, _NAMED)
        self.context.emit(Notice(text=f"Left out of the program: the import of {names}, which needs none."))
        return replace(written, program=cleaned.program)

    def repeated(self, program: str) -> Feedback | None:
        """What the model is told instead of running a program that failed before in the same words."""
        same = preflight.fingerprint(program)
        if same not in self._failed:
            return None
        again = same in self._repeated
        self._repeated.add(same)
        return prompt.repeated(self._failed[same], again=again, most=self.context.limits.shown_to_model)

    def remember(self, program: str, feedback: Feedback) -> None:
        """What came of the program, so that it is not run again where it would fail again."""
        if feedback.charges == "repair":
            self._failed[preflight.fingerprint(program)] = feedback.reason
        elif feedback.charges in ("look", "call"):  # what it failed with may be different now
            self._failed.clear()

    def check(self, program: str) -> Feedback | None:
        """What is refused, before anything has happened."""
        if (call := self.direct_call(program)) is not None:
            return prompt.refused([call.problem]) if call.problem else None
        report = self._report(program)
        self.named, self.sites = report.tools_named, report.sites
        problems = [problem.message for problem in report.problems]
        return prompt.refused(problems, line=report.problems[0].line) if problems else None

    def is_valid_prefix(self, beginning: str) -> bool:
        """Whether there is nothing against the beginning of a program."""
        callable, there = self.callable(), self.context.capabilities.names
        if preflight.without_needless_imports(beginning, callable, modules(), there).names:
            return False  # the text that runs in the end will be another one
        return not self._report(beginning).problems

    def remember_names(self, program: str, outcome: RunOutcome) -> None:
        """What it defined is there for the next one, unless its guest is gone."""
        self._defined = set() if outcome.state_lost else self._defined | set(re.findall(r"\w+", program))

    def specs_named(self) -> list[ToolSpec]:
        """The tools that the program names, as they are known by now: calls have shown what they return."""
        specs = self.context.tools.specs()
        return [specs[name] for name in self.named if name in specs]

    def _report(self, program: str) -> preflight.Report:
        return preflight.check(
            program,
            self.callable(),
            modules(),
            self._defined | self.context.capabilities.names,
            direct=self.direct(),
            program_bytes=self.context.limits.program_bytes,
        )
