"""The kernel's entry in Jupyter's list. `pip install` makes one; these are for another name, place or environment."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportMissingTypeStubs=false
# pyright: reportUnknownArgumentType=false
# jupyter_client has next to no types.

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpecManager

from ..errors import UserError

__all__ = ["DISPLAY_NAME", "NAME", "install", "installed", "uninstall"]

NAME = "codeact"
DISPLAY_NAME = "CodeAct (Python 3)"
_SHIPPED = Path(__file__).with_name("kernelspec")
_MODULE = "codeact_kernel"


def install(*, user: bool, prefix: str | None, name: str = NAME, display_name: str | None = None) -> list[str]:
    """Make an entry that starts this very Python; what was done, in sentences.

    Args:
        user: for this user, wherever Jupyter runs.
        prefix: for the Jupyter in this folder; `None` and not `user` is for everybody on this machine.

    Raises:
        UserError: the name cannot be one, or the place cannot be written.
    """
    name = _checked(name)
    manager = KernelSpecManager()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(_SHIPPED, folder, dirs_exist_ok=True)
        file = Path(folder, "kernel.json")
        spec = json.loads(file.read_text(encoding="utf-8"))
        spec["argv"][0] = sys.executable
        spec["metadata"] = get_kernel_dict().get("metadata", spec["metadata"])  # what this ipykernel can do
        spec["display_name"] = display_name or (DISPLAY_NAME if name == NAME else f"CodeAct ({name})")
        file.write_text(json.dumps(spec, indent=1), encoding="utf-8")
        try:
            made = manager.install_kernel_spec(folder, name, user=user, prefix=prefix)
        except OSError as error:
            raise UserError(f"{error.filename or 'The place'} cannot be written: try --user or --sys-prefix.") from None
    said = [f"Installed {name} in {made}, for {sys.executable}."]
    winner = KernelSpecManager().find_kernel_specs().get(name)
    if winner is not None and Path(winner) != Path(made):
        said.append(f"But here Jupyter takes the one of the same name in {winner}: uninstall that, or use --name.")
    return said


def installed() -> dict[str, tuple[str, str]]:
    """The entries that start this kernel: by name, the folder and the Python."""
    found: dict[str, tuple[str, str]] = {}
    for name, folder in sorted(KernelSpecManager().find_kernel_specs().items()):
        argv = _argv(Path(folder))
        if _MODULE in argv:
            found[name] = (folder, argv[0])
    return found


def _checked(name: str) -> str:
    """The name as Jupyter keeps it. It becomes a folder, which is emptied before it is filled: `..` must be none."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
        raise UserError(f"{name!r} is no name for a kernel: use letters, digits, - and _.")
    return name.lower()


def uninstall(name: str = NAME) -> str:
    """Remove the entry that Jupyter takes for `name`; where it was.

    Raises:
        UserError: there is none of ours, or it cannot be removed.
    """
    ours, name = installed(), name.lower()
    if name not in ours:
        there = f"There are: {', '.join(ours)}." if ours else "There are none."
        raise UserError(f"No kernel {name!r} of ours is installed. {there}")
    folder = Path(ours[name][0])
    try:
        folder.unlink() if folder.is_symlink() else shutil.rmtree(folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be removed: {error.strerror}.") from None
    return str(folder)


def _argv(folder: Path) -> list[str]:
    try:
        argv = json.loads((folder / "kernel.json").read_text(encoding="utf-8"))["argv"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [part for part in argv if isinstance(part, str)] if isinstance(argv, list) else []
