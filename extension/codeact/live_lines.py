"""Print a turn line by line while it runs, in terminals, which cannot redraw a cell."""

from __future__ import annotations

from codeact_kernel.events import CallFinished, Event, ModelRequested, Notice, ProgramReady, RetryStarted, RunStarted
from codeact_kernel.render import Transcript
from codeact_kernel.render.escaping import escape_controls, escape_hidden
from codeact_kernel.render.text import call_line
from codeact_kernel.text import plural, truncate_middle

__all__ = ["LiveLines"]

_MAX_CALLS = 20
"""How many calls of a program are printed. The last line of the turn counts all of them."""
_MAX_REASON = 300


class LiveLines:
    """Prints the program, its calls and what takes time. The answer is printed by the end of the turn."""

    def __init__(self) -> None:
        self._calls = 0

    def show(self, event: Event, transcript: Transcript) -> None:
        """Print what the event adds. The transcript contains the event already."""
        match event:
            case ModelRequested():
                self._print(f"Asking {escape_controls(transcript.model)}…{_write_budget(transcript)}")
            case Notice(text=text):
                self._print(f"({escape_controls(text)})")
            case ProgramReady(program=program):
                self._calls = 0
                self._print("\n".join(f"    {line}" for line in escape_hidden(program).strip("\n").split("\n")))
            case RunStarted():
                self._print(f"Running…{_write_budget(transcript)}")
            case CallFinished(run=run, call=call) if transcript.has_row(run, call.id):
                self._calls += 1
                if self._calls <= _MAX_CALLS:
                    self._print(call_line(transcript.attempts[-1].rows[call.id], seconds=True))
                elif self._calls % 100 == 0:
                    self._print(f"→ … {plural(self._calls, 'call')} so far")
            case RetryStarted(reason=reason):
                self._print(f"Asked again: {truncate_middle(escape_controls(reason), _MAX_REASON)}")
            case _:
                pass

    def _print(self, text: str) -> None:
        print(text, flush=True)


def _write_budget(transcript: Transcript) -> str:
    return f" ({transcript.budget_line})" if transcript.budget else ""
