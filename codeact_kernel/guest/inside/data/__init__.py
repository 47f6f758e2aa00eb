"""The data of the notebook: its variables, tables whose columns come when they are looked at, and results."""

from .variables import start_run

__all__ = ["start_run"]
