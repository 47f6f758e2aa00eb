"""Give programs the data of the notebook: its variables, tables with lazy columns, and results of tools."""

from .variables import start_run

__all__ = ["start_run"]
