"""The commands about the thread of prompts and the recorded programs: `%codeact thread`, `locks`, `pin`, `unpin`."""

from __future__ import annotations

from IPython.core.error import UsageError

from codeact_kernel.errors import UserError
from codeact_kernel.render.escaping import escape_controls, escape_hidden, one_line
from codeact_kernel.text import truncate_middle

from .frontend import Frontend

__all__ = ["list_or_trust_locks", "pin_program", "show_or_change_thread", "unpin_program"]


def show_or_change_thread(frontend: Frontend, argument: str) -> None:
    """Show what the next prompt takes along from earlier prompts, or leave out one or all."""
    thread, (verb, _, number) = frontend.memory.thread, argument.partition(" ")
    match verb:
        case "":
            max_tokens = frontend.settings.limits.thread_tokens
            text = thread.follow_up(max_tokens, list(frontend.session.tools)).text
            print(escape_hidden(text.rstrip()) or "The next prompt takes nothing along from earlier prompts.")
        case "clear":
            thread.clear()
            print("The next prompt starts afresh.")
        case "drop" if number.strip().isdecimal() and len(number) < 20:
            if not thread.drop(int(number)):
                raise UsageError(f"There is no prompt {number.strip()[:20]} in the thread: %codeact thread shows them.")
            print(f"The next prompt takes nothing along from prompt {number.strip()}.")
        case _:
            raise UsageError(
                "Use %codeact thread to see what the next prompt takes along, %codeact thread drop N to leave out one "
                "prompt, and %codeact thread clear to start afresh."
            )


def list_or_trust_locks(frontend: Frontend, argument: str) -> None:
    """List the programs that are recorded beside the notebook, or let those of others run."""
    if argument not in ("", "trust"):
        raise UsageError("Use %codeact locks to list the recorded programs, and %codeact locks trust to let them run.")
    folder = frontend.memory.reuse.folder
    entries = list(folder.locks())
    seen = [(name, str(lock) if isinstance(lock, UserError) else lock.digest) for name, lock in entries]
    if argument == "trust" and frontend.memory.shown_locks != seen:
        print("Nothing is trusted yet: these are the recorded programs now. To let them run, run the command again.")
    elif argument == "trust":
        folder.trusted.add(*[lock for _, lock in entries if not isinstance(lock, UserError)])
    for name, lock in entries:
        if isinstance(lock, UserError):
            print(f"{one_line(name)}: {one_line(str(lock))}")
            continue
        state = "" if lock in folder.trusted else ", not trusted"
        pinned = ", pinned" if lock.pinned else ""
        print(f"{one_line(lock.day)}  {truncate_middle(one_line(lock.ask), 100)}{pinned}{state}")
        if state:
            texts = lock.texts or (lock.answer,)
            print(escape_hidden("\n".join(f"    {line}" for text in texts for line in text.splitlines())))
    if not entries:
        print(f"No programs are recorded in {escape_controls(str(folder.path))}.")
    frontend.memory.shown_locks = seen


def pin_program(frontend: Frontend, argument: str) -> None:
    """Keep the program of the last prompt, also when the user runs it again."""
    lock = frontend.memory.reuse.pin(is_pinned=True)
    print(f"Pinned: this prompt keeps its program of {lock.day} when you run it again. %codeact unpin ends that.")


def unpin_program(frontend: Frontend, argument: str) -> None:
    """Ask the model again when the user runs the last prompt again."""
    frontend.memory.reuse.pin(is_pinned=False)
    print("Not pinned any more: the model is asked when you run this prompt again.")
