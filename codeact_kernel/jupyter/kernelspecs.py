"""Install and remove kernelspecs, for another name, folder or environment than those of `pip install`."""

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
    """Install a kernelspec that starts this Python, and return sentences for the user.

    Args:
        user: Install for the current user, wherever Jupyter runs.
        prefix: Install for the Jupyter in this folder; `None` without `user` installs for all users.

    Raises:
        UserError: The name is invalid, or the folder is not writable.
    """
    name = _normalize_name(name)
    manager = KernelSpecManager()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(_SHIPPED, folder, dirs_exist_ok=True)
        file = Path(folder, "kernel.json")
        spec = json.loads(file.read_text(encoding="utf-8"))
        spec["argv"][0] = sys.executable
        spec["metadata"] = get_kernel_dict().get("metadata", spec["metadata"])  # the features of this ipykernel
        spec["display_name"] = display_name or (DISPLAY_NAME if name == NAME else f"CodeAct ({name})")
        file.write_text(json.dumps(spec, indent=1), encoding="utf-8")
        try:
            target = manager.install_kernel_spec(folder, name, user=user, prefix=prefix)
        except OSError as error:
            raise UserError(
                f"{error.filename or 'The folder'} cannot be written: try --user or --sys-prefix."
            ) from None
    messages = [f"Installed {name} in {target}, for {sys.executable}."]
    winner = KernelSpecManager().find_kernel_specs().get(name)
    if winner is not None and Path(winner) != Path(target):
        messages.append(f"But here Jupyter uses the kernel {name} in {winner}: uninstall that, or use --name.")
    return messages


def installed() -> dict[str, tuple[str, str]]:
    """Return the kernelspecs of this kernel: their folder and their Python, by name."""
    kernels: dict[str, tuple[str, str]] = {}
    for name, folder in sorted(KernelSpecManager().find_kernel_specs().items()):
        argv = _argv(Path(folder))
        if _MODULE in argv:
            kernels[name] = (folder, argv[0])
    return kernels


def _normalize_name(name: str) -> str:
    """Return the name as Jupyter stores it. It names a folder that is emptied first, so `..` must be refused."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
        raise UserError(f"{name!r} is not a valid kernel name: use letters, digits, - and _.")
    return name.lower()


def uninstall(name: str = NAME) -> str:
    """Remove the kernelspec that Jupyter uses for `name`, and return its folder.

    Raises:
        UserError: No CodeAct kernel has the name, or it cannot be removed.
    """
    kernels, name = installed(), name.lower()
    if name not in kernels:
        known = f"Installed are: {', '.join(kernels)}." if kernels else "There are no others."
        raise UserError(f"No CodeAct kernel named {name!r} is installed. {known}")
    folder = Path(kernels[name][0])
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
