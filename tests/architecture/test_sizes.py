"""Budgets of the code: sizes, cycles, imports inside functions, names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "codeact_kernel").rglob("*.py"), *(ROOT / "extension").rglob("*.py")])
NAMES = [str(path.relative_to(ROOT)) for path in FILES]

MODULE_LINES = 400
FUNCTION_LINES = 60

# What is imported only when it is needed, and why.
GUEST = "codeact_kernel/guest/inside/"
LATE = {
    ("codeact_kernel/model/openai_client.py", "openai"): "takes a second, and not every session asks a model",
    ("codeact_kernel/sandbox/backends/embedded.py", "embedded_guest"): "loads wasmtime, which belongs in the worker",
    ("codeact_kernel/sandbox/backends/embedded.py", "science_guest"): "likewise",
    ("codeact_kernel/wire/zones.py", "zoneinfo"): "a guest gets this module too, and there it takes long",
    ("codeact_kernel/jupyter/cli.py", "guest_command"): "each command has its own imports",
    ("codeact_kernel/sandbox/backends/hyperlight.py", "hyperlight_guest"): "loads the hypervisor's library, likewise",
    ("codeact_kernel/render/markdown_elements.py", "markdown_it"): "most turns show no Markdown",
    ("codeact_kernel/capabilities/show/png_worker.py", "resource"): "not on Windows",
    (
        "codeact_kernel/capabilities/show/png_worker.py",
        "vl_convert",
    ): "not everywhere, and only after the limits are set",
    ("extension/codeact/cell_output.py", "card"): "widgets take a while to import, and not every session asks",
    ("extension/codeact/__init__.py", "magics"): "IPython is there only when somebody loads the extension",
    ("extension/codeact/__init__.py", "getipython"): "likewise",
    ("extension/codeact/__init__.py", "kept_cells"): "only cells that were kept from a prompt use it",
    ("extension/codeact/__init__.py", "codeact_kernel"): "loading the extension is light: PEP 562",
    (
        "codeact_kernel/configuration/project_file.py",
        "tomllib",
    ): "most folders have no file of ours: the kernel starts faster",
    ("codeact_kernel/configuration/messages.py", "difflib"): "only a mistake needs it: likewise",
    ("extension/codeact/magics.py", "frontend"): "a kernel that nobody asks anything has none of the engine in it",
    ("extension/codeact/magics.py", "commands"): "likewise",
    ("extension/codeact/completion.py", "commands"): "likewise",
    ("codeact_kernel/tools/decorator.py", "offer"): "a kernel without a tool has no pydantic in it",
    ("extension/codeact/doctor.py", "card"): "widgets, as in the output of a cell",
    ("codeact_kernel/approval/grants.py", "fcntl"): "not on Windows",
    ("codeact_kernel/memory/presence.py", "fcntl"): "not on Windows",
    ("codeact_kernel/memory/prices.py", "genai_prices"): "brings all prices along, and only %codeact usage wants them",
    ("codeact_kernel/telemetry/__init__.py", "provider"): "loads OpenTelemetry, which few have configured",
    ("codeact_kernel/telemetry/__init__.py", "spans"): "likewise",
    ("codeact_kernel/import_guard.py", "metadata"): "the kernel's start would pay for it",
    ("codeact_kernel/__main__.py", "kernel"): "nothing is imported before the guard is in place",
    ("codeact_kernel/__main__.py", "jupyter"): "likewise",
    **{
        ("codeact_kernel/jupyter/cli.py", name): "each command imports what it needs"
        for name in (
            "run_notebook",
            "check_notebook",
            "kernelspecs",
            "command",
            "doctor",
            "session",
            "settings",
        )
    },
}


@cache
def tree(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text())


def functions(name: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(name)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Last parts of the modules that a statement imports, relative ones by the name of the module."""
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module.rpartition(".")[2]]
    return [alias.name.rpartition(".")[2] for alias in node.names]


def test_there_is_something_to_look_at():
    assert "codeact_kernel/turn/turn.py" in NAMES
    assert "extension/codeact/magics.py" in NAMES


def test_a_module_is_short_enough_to_be_read():
    lines = {name: len((ROOT / name).read_text().splitlines()) for name in NAMES}
    assert {name: count for name, count in lines.items() if count > MODULE_LINES} == {}


def test_a_function_fits_on_a_screen():
    lines = {
        (name, function.name): function.end_lineno - function.lineno + 1
        for name in NAMES
        for function in functions(name)
    }
    assert {where: count for where, count in lines.items() if count > FUNCTION_LINES} == {}


def test_imports_inside_functions_are_few_and_each_has_a_reason():
    found = {
        (name, module)
        for name in NAMES
        if not name.startswith(GUEST)  # where an import costs time in each run that has it
        for function in functions(name)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in imported(node)
    }
    assert found == set(LATE)


def test_no_modules_import_each_other_in_a_circle():
    edges = {module_of(name): set(imports_of(name)) for name in NAMES}
    assert "codeact_kernel.events" in edges["codeact_kernel.turn.turn"]
    assert "codeact_kernel.guest.inside.tool_calls" in edges["codeact_kernel.guest.inside.runner"]
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for target in sorted(edges[module]):
                visit(target, (*path, module))
            done.add(module)

    for module in edges:
        visit(module, ())


@pytest.mark.parametrize(
    ("folder", "module", "target"),
    [("extension/codeact/", "magics", "commands"), ("codeact_kernel/tools/", "decorator", "offer")],
)
def test_late_imports_make_no_circle_either(folder, module, target):
    """Imports inside functions and for types count, too: no module of these packages knows which modules use it."""
    names = [name for name in NAMES if name.startswith(folder) and not name.endswith("__init__.py")]
    edges = {
        Path(name).stem: {
            node.module or alias.name
            for node in ast.walk(tree(name))
            if isinstance(node, ast.ImportFrom) and node.level
            for alias in node.names
        }
        for name in names
    }
    assert target in edges[module]
    while leaves := {module for module, targets in edges.items() if not targets & set(edges)}:
        edges = {module: targets for module, targets in edges.items() if module not in leaves}
    assert edges == {}


def module_of(name: str) -> str:
    parts = list(Path(name).with_suffix("").parts)
    parts = parts[1:] if parts[0] == "extension" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(name): name for name in NAMES}


def imports_of(name: str) -> Iterator[str]:
    """Modules of ours that `name` imports: at its start, later, or for types alone.

    Only the two packages that offer names of their modules (PEP 562) import them for types.
    """
    module = module_of(name)
    package = module if name.endswith("__init__.py") else module.rpartition(".")[0]
    all_imports = (node for node in ast.walk(tree(name)) if isinstance(node, ast.Import | ast.ImportFrom))
    offers_names = name in ("codeact_kernel/__init__.py", "extension/codeact/__init__.py")
    for node in run_at_import(tree(name).body) if offers_names else all_imports:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        else:
            base = ".".join(package.split(".")[: len(package.split(".")) + 1 - node.level]) if node.level else ""
            source = ".".join(part for part in (base, node.module) if part)
            inner = [f"{source}.{alias.name}" for alias in node.names if f"{source}.{alias.name}" in MODULES]
            # A package that imports its own module is how packages are made; the module does not import it back.
            yield from inner if inner else [source] if source in MODULES and source != module else []


def run_at_import(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from run_at_import([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from run_at_import([*node.body, *node.orelse, *node.finalbody])


def style(name: str) -> tuple[int, str]:
    """The order that ruff keeps: constants, classes, functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


# Run as programs, never imported, or with nothing to offer.
WITHOUT_ALL = {
    "codeact_kernel/__main__.py",
    "codeact_kernel/bridge/__init__.py",
    "codeact_kernel/jupyter/__init__.py",
    "codeact_kernel/memory/__init__.py",
    "codeact_kernel/model/__init__.py",
    "codeact_kernel/sandbox/__init__.py",
    "codeact_kernel/sandbox/precompile.py",
    "codeact_kernel/server/__init__.py",
    "codeact_kernel/wire/__init__.py",
}


def test_a_module_says_what_is_public_in_order():
    assert [name for name in NAMES if not name.startswith(GUEST) and not says_what_is_public(name)] == []


def says_what_is_public(name: str) -> bool:
    """Tell whether a module has one sorted `__all__` of names that it defines; none where nothing imports it."""
    lists = [
        ast.literal_eval(node.value)
        for node in tree(name).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    defined = {
        target.id if isinstance(target, ast.Name) else getattr(target, "name", "")
        for node in ast.walk(tree(name))
        for target in (node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)])
    } | {
        alias.asname or alias.name
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    return len(lists) == (name not in WITHOUT_ALL) and all(
        names == sorted(names, key=style) and set(names) <= defined for names in lists
    )


def test_no_module_hides_behind_an_underscore():
    parts = {part for name in NAMES for part in Path(name).with_suffix("").parts}
    assert {part for part in parts if part.startswith("_")} <= {"__init__", "__main__"}


def test_a_module_begins_with_what_it_is_for():
    assert [name for name in NAMES if not ast.get_docstring(tree(name))] == []
