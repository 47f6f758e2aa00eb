"""Programs of the room's own run in the pools of the sandbox's tests."""

from ..sandbox.conftest import programs as programs
