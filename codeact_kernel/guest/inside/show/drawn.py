"""Remember which figures the user has seen already."""

__all__ = ["drawn"]

drawn: set[int] = set()
"""Ids of figures that are not shown at the end of the program, because it has shown or saved them itself."""
