"""One frozen `Settings`, made once (`configuration`) and passed whole; each object takes its part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .access import AllowedDomain, FileMount, allowed_domains, file_mounts, workspace_root
from .errors import UserError
from .limits import HttpLimits, OutputLimits, ShowLimits

__all__ = ["Limits", "Settings", "parse_memory"]

MIB = 1 << 20
_UNITS = {"Mi": MIB, "Gi": 1 << 30}
_LEAST_MEMORY, _MOST_MEMORY = 64 * MIB, 2048 * MIB  # less does not hold the library, more was not tried


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Every cap, with its unit. Sizes are refused before anything is decoded."""

    run_seconds: float = 30.0
    """Wall clock of one run, without the time that tools run and a person takes to decide."""
    cpu_seconds: int = 300
    """CPU time of one worker's life: the last resort, it works even while the run clock is stopped."""
    start_seconds: float = 60.0
    """From the start of a worker to its `Ready`."""
    tool_seconds: float = 600.0
    """One call of a tool."""
    decision_seconds: float | None = None
    """How long a question waits for a person, who may be at lunch; then the answer is no. `None` is without end."""
    model_seconds: float = 120.0
    """Silence of the model endpoint that we accept."""
    memory_bytes: int = 256 * MIB
    """Memory of the guest. A worker needs about 60 MB beside it; a micro-VM's takes all of it at its start."""
    program_bytes: int = 64 << 10
    """A program that is run; a longer one is not taken from the model."""
    frame_bytes: int = 8 * MIB
    """One message between the kernel and the sandbox."""
    arguments_bytes: int = 1 * MIB
    """Arguments of one call, as JSON."""
    turn_arguments_bytes: int = 64 * MIB
    """Memory of the arguments of all calls of one turn, which are kept for the result."""
    answer_bytes: int = 6 * MIB
    """What one call gives to a program, as JSON."""
    value_bytes: int = 4 * MIB
    """A program's value, as JSON."""
    kept_bytes: int = 4 * MIB
    """A tool's result that is larger stays in the kernel; the program fetches what it looks at."""
    result_bytes: int = 256 * MIB
    """A tool's result as JSON; and the memory of one turn's results, those that are recorded and those that stay in the
    kernel, each for itself. Beyond it only the beginning of a result is recorded."""
    value_in_bytes: int = 64 * MIB
    """JSON of a variable that a prompt is given and that is no table."""
    outputs_bytes: int = 256 * MIB
    """What a program hands back to the notebook; it has to have it in its own memory first."""
    depth: int = 32
    """Nesting of JSON: deeper input is a RecursionError in decoders."""
    calls_per_run: int = 10_000
    """Tool calls of one run."""
    services_per_run: int = 200_000
    """Steps with files and data: a megabyte at most each."""
    calls_in_flight: int = 32
    """Calls that wait for their answers at a time; the next one waits."""
    output_bytes: int = 1 * MIB
    """Printed text kept of one turn, head and tail; in characters."""
    shown_to_model: int = 8_000
    """Characters of output or traceback in a repair prompt, head and tail."""
    error_characters: int = 500
    """What a program is told of a call that failed."""
    observations: int = 5
    """How often the model may look at data in one turn."""
    direct_calls: int = 20
    """Calls that the model makes itself in one turn; each asks it once more."""
    denials_per_tool: int = 3
    """After so many denials of one tool in a turn the rest is denied unasked."""
    turn_tokens: int = 1_000_000
    """Tokens of one turn: the model is not asked again after so many."""
    output: OutputLimits = field(default_factory=OutputLimits)
    show: ShowLimits = field(default_factory=ShowLimits)
    http: HttpLimits = field(default_factory=HttpLimits)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a person can choose.

    Attributes:
        model: the model's name at the endpoint; `None` lets the client choose.
        backend: what isolates the guest; `auto` is a micro-VM where one starts.
        max_retries: how often the model may repair a program that failed.
        allow: names of tools that run without a question although they ask for approval.
        review: whether a person sees each program before it runs.
        wait: whether nothing of a program runs before the model has written all of it.
        file_mounts: folders and files that programs see below `/input`; each may be given as `file_mount` takes it.
        workspace_root: a folder that they see as `/input` itself, to be read only.
        allowed_domains: hosts that they may send requests to; each may be given as `allowed_domain` takes it.

    Raises:
        UserError: `allow` is one text, not a set of them; a mount or a host that there cannot be.
    """

    model: str | None = None
    backend: str = "auto"
    max_retries: int = 2
    allow: frozenset[str] = frozenset()
    review: bool = False
    wait: bool = False
    file_mounts: Sequence[FileMount] = ()
    workspace_root: Path | None = None
    allowed_domains: Sequence[AllowedDomain] = ()
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if isinstance(self.allow, str):  # of which every letter, and every part, would be a name
            raise UserError(f"allow={self.allow!r}: give a set of names, frozenset({{{self.allow!r}}}).")
        object.__setattr__(self, "file_mounts", file_mounts(self.file_mounts))
        object.__setattr__(self, "allowed_domains", allowed_domains(self.allowed_domains))
        if self.workspace_root is not None:
            object.__setattr__(self, "workspace_root", workspace_root(self.workspace_root))


def parse_memory(text: str) -> int:
    """The bytes of a size such as `"256Mi"` or `"1Gi"`, the way Kubernetes writes them.

    Raises:
        UserError: it is no such size, or one that no guest can have.
    """
    number, unit = text.strip()[:-2], text.strip()[-2:]
    size = int(number) * _UNITS[unit] if unit in _UNITS and number.isdecimal() and len(number) < 6 else 0
    if not _LEAST_MEMORY <= size <= _MOST_MEMORY:
        raise UserError(f"{text!r} is no memory for a sandbox: give a size from 64Mi to 2Gi, for example 256Mi.")
    return size
