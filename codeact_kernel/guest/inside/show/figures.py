"""Show the figures of matplotlib as pictures. The importer loads this module after `matplotlib.pyplot`."""

from typing import Any

import matplotlib.pyplot as pyplot
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from codeact_kernel.wire.pictures import draw_figure

from ..tool_calls import on_program_end
from .drawn import drawn
from .function import show

_MAX_PARTS = 20
"""Parts of a container that are looked at."""
_plt: Any = pyplot
_save_figure = Figure.savefig


def show_figures(*_: Any, **__: Any) -> None:
    """Show all open figures, and close them. It stands for `pyplot.show`, and runs at the end of each program."""
    for number in _plt.get_fignums():
        figure = _plt.figure(number)
        if id(figure) not in drawn and figure.get_axes():
            show(draw_figure(figure))
            drawn.add(id(figure))
        _plt.close(figure)


def without_artists(value: Any) -> Any:
    """Return the value of a program, or `None` if it is what a plotting function returned. A lone figure is shown."""
    if isinstance(value, Figure) and value.get_axes() and id(value) not in drawn:
        show(draw_figure(value))
    drawn.clear()
    return None if is_artist(value) else value


def is_artist(value: Any, depth: int = 3) -> bool:
    """Return whether the value is a part of a figure, such as axes, or a container of parts."""
    if depth == 0:
        return False
    if isinstance(value, Artist) or type(value).__module__.startswith(("matplotlib.", "seaborn.")):
        return True
    if type(value).__name__ == "ndarray":
        return value.dtype == object and is_artist(value.ravel().tolist(), depth - 1)
    parts = list(value.values()) if isinstance(value, dict) else value
    return isinstance(parts, (list, tuple)) and any(is_artist(part, depth - 1) for part in parts[:_MAX_PARTS])


def _savefig(figure: Any, fname: Any, *args: Any, **options: Any) -> Any:
    result = _save_figure(figure, fname, *args, **options)
    if not hasattr(fname, "write"):
        drawn.add(id(figure))  # the file is shown
    return result


Figure.savefig = _savefig  # type: ignore[method-assign]
_plt.show = Figure.show = show_figures
on_program_end.append(show_figures)
