"""The description of a backend. It is light: the kernel reads it, and only `load` imports a backend's library."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, TypeAlias

from ...guest.kinds import STANDARD, GuestKind
from ...limits import WorkerLimits
from ..interfaces import Dispatch, IsolatedGuest

__all__ = ["Backend", "GuestFactory"]

GuestFactory: TypeAlias = Callable[[str, Dispatch, WorkerLimits], IsolatedGuest]
"""Prepares a guest from the path of its file, the function that it can call, and the limits of its worker."""


class Backend(ABC):
    """One way to isolate a guest. A subclass sets the attributes and is added to `BACKENDS`.

    Attributes:
        name: the name in settings.
        boundary: the isolation boundary, in words for the user.
        guest: the kind of guest that it runs.
        packages: the modules that the backend needs, each with the package that installs it.
        compiler: the module that compiles the guest on this machine, when it is run with the path of the file to
            write; `None` if the guest is shipped as machine code.
        compile_notice: what the user reads before a program has to wait for that.
        may_refuse: whether a host where nothing is missing may still refuse to start the backend.
    """

    name: ClassVar[str]
    boundary: ClassVar[str]
    guest: ClassVar[GuestKind] = STANDARD
    packages: ClassVar[Mapping[str, str]]
    compiler: ClassVar[str | None] = None
    compile_notice: ClassVar[str] = ""
    may_refuse: ClassVar[bool] = False

    def why_unavailable(self) -> str:
        """Return a sentence that names what is missing on this host and how to get it; empty if nothing is missing.

        Nothing is started, so a backend that is available may still refuse to start.
        """
        for module, package in self.packages.items():
            if find_spec(module) is None:
                return f"The {self.name} backend needs {package}: pip install {package}."
        return ""

    def devices(self) -> Sequence[str]:
        """Return the device files that a worker has to open."""
        return ()

    @abstractmethod
    def guest_file(self) -> Path:
        """Return the path of the guest that a worker loads. It may not be compiled yet."""

    @abstractmethod
    def load(self) -> GuestFactory:
        """Import the backend's library and return what prepares a guest. For the worker process only."""
