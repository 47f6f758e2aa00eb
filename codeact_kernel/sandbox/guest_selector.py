"""Select the kind of guest for a prompt, and compile the science guest where it is wanted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ..errors import CodeActError, SandboxError, UserError
from ..guest.kinds import AUTO, GUEST_NAMES, SCIENCE, STANDARD, GuestKind
from ..limits import WorkerLimits
from .backend_selector import BackendSelector
from .backends import SCIENCE_BACKEND, guest_cache
from .guest_compiler import compile_guest, explain_shortage

__all__ = ["GuestSelection", "GuestSelector"]


@dataclass(frozen=True, slots=True)
class GuestSelection:
    """The guest of a prompt.

    Attributes:
        why_standard: a sentence for the user if `auto` gives the standard guest only for now; else empty.
    """

    guest: GuestKind
    why_standard: str = ""


class GuestSelector:
    """Select guests for the prompts of one session. It compiles the science guest at most once."""

    def __init__(self) -> None:
        self._compilation: asyncio.Task[None] | None = None
        self._told = ""

    async def select(self, wanted: str, backends: BackendSelector, limits: WorkerLimits) -> GuestSelection:
        """Return the guest for a prompt.

        With `auto`, that is the science guest where it is installed and compiled, and no micro-VM can be had. Where it
        is only installed, it is compiled in the background, and this prompt gets the standard guest. A guest that is
        named is compiled when its first worker starts.

        Args:
            wanted: the name of a kind of guest, or `auto`.
            backends: selects the backend. What it selects is never weakened for the sake of a guest.

        Raises:
            UserError: if the science guest is wanted, and is not installed or not possible with the backend.
            SandboxError: if this machine has too little memory or disk to compile it.
        """
        if wanted not in GUEST_NAMES:
            raise UserError(f"There is no guest {wanted!r}: choose {', '.join(GUEST_NAMES)}.")
        missing = SCIENCE_BACKEND.why_unavailable() if wanted != STANDARD.name else ""
        if wanted == STANDARD.name or (wanted == AUTO and missing):
            return GuestSelection(STANDARD)
        if missing:
            raise UserError(missing)
        backend = await backends.select(limits)
        if backend.name != SCIENCE_BACKEND.name:
            if wanted == AUTO:
                return GuestSelection(STANDARD)
            raise UserError(
                f"The science guest runs as WebAssembly only, and the boundary here is a {backend.boundary}: choose "
                f"--guest standard, or accept the weaker boundary with --backend {SCIENCE_BACKEND.name}."
            )
        if guest_cache.trusted(SCIENCE_BACKEND.guest_file()):
            return GuestSelection(SCIENCE)
        if wanted == AUTO:
            return GuestSelection(STANDARD, self._compile_in_background())
        if shortage := explain_shortage():
            raise SandboxError(shortage)
        await self.aclose()  # the compilation at low priority
        return GuestSelection(SCIENCE)

    async def aclose(self) -> None:
        """Stop the compilation in the background."""
        if self._compilation is not None:
            self._compilation.cancel()
            await asyncio.gather(self._compilation, return_exceptions=True)
            self._compilation = None

    def _compile_in_background(self) -> str:
        """Start the compilation. Return what the user has not been told yet."""
        task = self._compilation
        if task is None:
            if shortage := explain_shortage():
                text = f"pandas is installed but not compiled for the sandbox, so programs run without it. {shortage}"
            else:
                self._compilation = asyncio.create_task(compile_guest(SCIENCE_BACKEND, lambda _: None, nice=True))
                text = (
                    "pandas is being compiled for the sandbox in the background, once, for a minute or more. Until "
                    "then programs run without it."
                )
        elif task.done() and not task.cancelled() and isinstance(error := task.exception(), CodeActError):
            text = f"pandas could not be compiled for the sandbox, so programs run without it. {error}"
        else:
            return ""
        is_new, self._told = text != self._told, text
        return text if is_new else ""
