"""What the programs of one turn can touch beside the tools: rooms, each with one half here and one in the guest.

A room's guest half is the module `codeact_<name>`: its `begin(told, namespace)` runs before the program, and what that
returns (if anything) is called with the program's value after it. What the guest half needs it asks of its services:
`files.read` is the service `read` of the room `files`. No policy is in the guest; a service decides by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from .errors import ProgramError
from .values import Answer, JSONObject, Raised, Returned, Serve, ToolCall

__all__ = ["Reach", "Room"]


class Room(Protocol):
    """One thing that programs can touch.

    Attributes:
        name: of its services, and of its module in the guest.
        told: what `begin` of the guest half gets.
        prompt: what the model has to know of it: whole lines, or nothing.
        services: by their names without the room's.
    """

    @property
    def name(self) -> str: ...

    @property
    def told(self) -> JSONObject: ...

    @property
    def prompt(self) -> str: ...

    @property
    def services(self) -> Mapping[str, Serve]: ...

    def begin(self) -> None:
        """A run begins; what a run before has left open is closed."""
        ...


class Reach:
    """The rooms of one turn."""

    def __init__(self, rooms: Sequence[Room] = ()) -> None:
        self._rooms = rooms
        self._services = {f"{room.name}.{name}": serve for room in rooms for name, serve in room.services.items()}

    @property
    def prompt(self) -> str:
        """What the model has to know."""
        return "".join(room.prompt for room in self._rooms)

    def begin(self) -> JSONObject:
        """A run begins: what the guest is told of each room."""
        for room in self._rooms:
            room.begin()
        return {room.name: room.told for room in self._rooms}

    def answering(
        self, answer: Callable[[ToolCall], Awaitable[Answer]], paused: Callable[[], AbstractContextManager[None]]
    ) -> Callable[[ToolCall], Awaitable[Answer]]:
        """`answer` for tools, a service for what has a dot in its name. While a service works the clock is paused."""

        async def answered(call: ToolCall) -> Answer:
            if "." not in call.name:
                return await answer(call)
            serve = self._services.get(call.name)
            if serve is None:
                return Raised(kind="ToolFailed", message="there is no such service")
            try:
                with paused():
                    return Returned(value=await serve(dict(call.arguments)))
            except ProgramError as error:
                return Raised(kind="ToolFailed", message=str(error))

        return answered
