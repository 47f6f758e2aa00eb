"""Every cap, with its unit. The worker process gets `WorkerLimits`; the kernel enforces the other limits itself."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

__all__ = ["MIB", "HttpLimits", "Limits", "OutputLimits", "ShowLimits", "WorkerLimits"]

MIB = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerLimits:
    """Limits that a worker process is started with. A worker serves only turns that have the same limits."""

    cpu_seconds: int = 300
    """CPU time of a worker in its whole life. The last resort: it counts while the clock of the run is stopped."""
    start_seconds: float = 60.0
    """Time from the start of a worker until it is ready."""
    memory_bytes: int = 256 * MIB
    """Memory of the guest. A worker needs about 60 MB more; a micro-VM takes all of its memory at its start."""
    frame_bytes: int = 8 * MIB
    """One message between the kernel and the sandbox."""
    arguments_bytes: int = 1 * MIB
    """Arguments of one call, as JSON."""
    value_bytes: int = 4 * MIB
    """A program's value, as JSON."""
    depth: int = 32
    """Nesting of JSON; deeper input causes a RecursionError in decoders."""
    calls_per_run: int = 10_000
    """Tool calls of one run."""
    host_calls_per_run: int = 200_000
    """Calls for files and data in one run, each of one megabyte at most."""
    calls_in_flight: int = 32
    """Calls that wait for their results at the same time; the next call waits until one is finished."""
    output_characters: int = 1 * MIB
    """Printed text that is kept of one turn, head and tail; in characters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputLimits:
    """Limits of the files that the programs of one turn write. Reading has no limit: it happens in small pieces."""

    files: int = 100
    """Files and folders in /output."""
    file_bytes: int = 32 * MIB
    """One file in /output, which the kernel holds in memory until the turn is over."""
    all_bytes: int = 64 * MIB
    """All files in /output."""
    depth: int = 8
    """Parts of a path below /output."""
    mounted_files: int = 10_000
    """New files and folders in mounts with rw."""
    mounted_bytes: int = 1024 * MIB
    """Data written to mounts with rw, including gaps, so that no program fills a disk by mistake."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShowLimits:
    """Limits of the items that programs display, which are stored in the notebook and rendered by a page."""

    items: int = 50
    """Items of one turn."""
    turn_bytes: int = 16 * MIB
    """All items of one turn together, as they are sent."""
    title_characters: int = 300
    """One title; the rest is truncated."""
    text_characters: int = 50_000
    """One text or Markdown. Markdown of more than 20,000 characters is displayed without formatting."""
    json_bytes: int = 1 * MIB
    """One value, as JSON."""
    table_bytes: int = 4 * MIB
    """One table, as it is sent."""
    table_rows: int = 1_000
    """Rows of one table that are sent: the first N, with the total number of rows."""
    table_columns: int = 200
    """Columns of one table."""
    image_bytes: int = 5 * MIB
    """One picture, as it is sent."""
    image_pixels: int = 25_000_000
    """Pixels of one picture."""
    chart_bytes: int = 4 * MIB
    """One chart with its data, as it is sent."""
    chart_rows: int = 5_000
    """Rows of data of one chart."""
    chart_views: int = 20
    """Charts within one chart."""
    chart_entries: int = 500
    """Entries of an axis that has one entry for each value."""
    chart_pixels: int = 6_000_000
    """Pixels of one chart."""
    chart_side: int = 300
    """Pixels of a side of a chart that does not set its size."""
    depth: int = 32
    """Nesting of a value or a chart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpLimits:
    """Limits of the requests that programs send."""

    seconds: float = 30.0
    """One request with all its redirects."""
    connect_seconds: float = 10.0
    """One connection, including the TLS handshake; the addresses of a host share this time."""
    redirects: int = 5
    """Redirects that one request follows; each is checked like the first URL."""
    url_characters: int = 16_000
    """One URL."""
    headers: int = 100
    """Headers in one direction."""
    header_bytes: int = 64 << 10
    """All headers in one direction together."""
    body_bytes: int = 1 * MIB
    """Body of one request."""
    reply_bytes: int = 16 * MIB
    """Body of one response, as it is received."""
    kept_bytes: int = 64 * MIB
    """Large bodies of one turn together, kept until the program reads them; the oldest is dropped first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits(WorkerLimits):
    """All limits of a turn: those of its worker, and those that the kernel enforces."""

    run_seconds: float = 30.0
    """Wall-clock time of one run, without the time of tools and of the user's decisions."""
    tool_seconds: float = 600.0
    """One call of a tool."""
    decision_seconds: float | None = None
    """How long an approval request waits for the user before it is denied. `None` waits forever."""
    model_seconds: float = 120.0
    """How long the model's endpoint may stay silent."""
    program_bytes: int = 64 << 10
    """A program that is run; a longer one is not taken from the model."""
    turn_arguments_bytes: int = 64 * MIB
    """Memory for the arguments of all calls of one turn, which are kept for the result."""
    answer_bytes: int = 6 * MIB
    """What one call returns to a program, as JSON."""
    kept_bytes: int = 4 * MIB
    """A tool's result that is larger stays in the kernel; the program fetches the parts that it reads."""
    result_bytes: int = 256 * MIB
    """A tool's result as JSON; also the memory for the results of one turn, counted separately for those that are
    recorded and those that stay in the kernel. Above it only the beginning of a result is recorded."""
    value_in_bytes: int = 64 * MIB
    """JSON of a variable that is an input of the prompt and not a table."""
    outputs_bytes: int = 256 * MIB
    """Variables that a program returns to the notebook; the guest's own memory must hold them first."""
    shown_to_model: int = 8_000
    """Characters of output or traceback in a retry prompt, head and tail."""
    error_characters: int = 500
    """Characters of the error of a failed call that a program gets."""
    observations: int = 5
    """How often the model may look at data in one turn."""
    direct_calls: int = 20
    """Calls that the model makes itself in one turn; after each of them it is asked again."""
    denials_per_tool: int = 3
    """After this many denials of one tool in a turn, further calls are denied without asking."""
    thread_tokens: int = 600
    """Tokens that a prompt may spend on the earlier prompts of its thread; 0 sends nothing of them."""
    tools_tokens: int = 4_000
    """Tokens of the tools in a prompt. If all tools need more, the prompt has those that fit it best, and the names of
    the others."""
    turn_tokens: int = 1_000_000
    """Tokens of one turn; above it the model is not asked again."""
    output: OutputLimits = field(default_factory=OutputLimits)
    show: ShowLimits = field(default_factory=ShowLimits)
    http: HttpLimits = field(default_factory=HttpLimits)

    def for_worker(self) -> WorkerLimits:
        """Return the limits that a worker is started with, and that decide whether a warm worker can serve a turn."""
        inherited = {limit.name: getattr(self, limit.name) for limit in fields(WorkerLimits)}
        # CPU time must not end a run before its clock does.
        return WorkerLimits(**{**inherited, "cpu_seconds": max(self.cpu_seconds, int(4 * self.run_seconds))})
