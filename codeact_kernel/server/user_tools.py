"""Load the tools that `--tools` names: `module`, `module:name,name`, `path/to/file.py` or `path/to/file.py:name`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from operator import attrgetter
from pathlib import Path
from types import ModuleType

from ..errors import ToolDefinitionError, UserError
from ..import_guard import import_for_user
from ..text import collapse_whitespace, truncate
from ..tools import MARK, Registry, Tool, as_tool, default_registry

__all__ = ["load_tools"]

_MAX_MESSAGE = 300


def load_tools(sources: Sequence[str]) -> Registry:
    """Import the modules, and return their tools. This runs the user's code.

    Raises:
        UserError: if a module cannot be imported, or has no such tool; or if two tools have the same name.
    """
    registry = Registry()
    for source in sources:
        for tool in _load(source):
            name = tool.spec.name
            if (other := registry.get(name)) is not None and other.version != tool.spec.version:
                raise UserError(f"--tools {source}: there is another tool {name}: give one of them @tool(name=…).")
            registry.add_tool(tool)
    return registry


def _load(source: str) -> list[Tool]:
    place, _, names = source.rpartition(":")
    if not place or names.endswith(".py") or os.sep in names:  # no names, or the colon of a Windows drive
        place, names = source, ""
    before = default_registry.specs()
    module = _import(source, place)
    if names:
        return [_find(source, module, name.strip()) for name in names.split(",")]
    registered = [name for name, spec in default_registry.specs().items() if before.get(name) != spec]
    marked = [tool for value in vars(module).values() if isinstance(tool := getattr(value, MARK, None), Tool)]
    tools = {tool.spec.name: tool for tool in [*map(default_registry.tool, registered), *marked]}
    if not tools:
        raise UserError(f"--tools {source}: it marks no function with @tool: mark one, or name one: {place}:NAME.")
    return list(tools.values())


def _import(source: str, place: str) -> ModuleType:
    try:
        return _import_file(Path(place)) if place.endswith(".py") else _import_module(place)
    except UserError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the user's code, which may raise anything, also SystemExit
        what = truncate(collapse_whitespace(f"{type(error).__name__}: {error}"), _MAX_MESSAGE)
        raise UserError(f"--tools {source}: the import failed with {what}") from error


def _import_module(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise UserError(f"--tools {name}: this is not the name of a module: write module:function or path/to/file.py.")
    _put_first(str(Path.cwd()))
    return import_for_user(name)


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError(
            f"--tools {path}: this file does not exist. Give the path of a Python file, or the name of a module."
        )
    spec = spec_from_file_location(f"tools_in_{path.stem}", path.resolve())
    assert spec is not None
    assert spec.loader is not None
    _put_first(str(path.resolve().parent))
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _put_first(folder: str) -> None:
    """Let the user's imports find the modules of the folder. Ours never do: see `import_guard`."""
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _find(source: str, module: ModuleType, name: str) -> Tool:
    try:
        function = attrgetter(name)(module)
    except AttributeError:
        raise UserError(f"--tools {source}: {module.__name__} does not define {name}. Check the spelling.") from None
    marked = getattr(function, MARK, None)
    try:
        return marked if isinstance(marked, Tool) else as_tool(function)
    except ToolDefinitionError as error:
        raise UserError(f"--tools {source}: {error}") from None
