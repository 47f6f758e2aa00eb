"""Programs of the data capability run in the pools of the sandbox's tests."""

from ..sandbox.conftest import programs as programs
