"""Put temporary files into /tmp for this turn. The importer loads this module after `tempfile`.

The guest has no file descriptors. `mkstemp` returns a number that only `os.fdopen`, `os.write` and `os.close` accept.
"""

import builtins
import errno
import os
import tempfile
from typing import Any

_module: Any = tempfile
_close, _fdopen, _write = os.close, os.fdopen, os.write
_descriptors: dict[int, str] = {}
_FIRST_DESCRIPTOR = 1_000


def _open_named(  # the parameters match `tempfile`
    mode: str = "w+b",
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: Any = None,
    prefix: Any = None,
    dir: Any = None,
    delete: bool = True,
    *,
    errors: str | None = None,
    delete_on_close: bool = True,
) -> Any:
    path = _make_path(suffix, prefix, dir)
    file = builtins.open(path, mode, buffering, encoding, errors, newline)  # noqa: SIM115  # the wrapper closes it
    return _module._TemporaryFileWrapper(file, path, delete, delete_on_close)


def _mkstemp(suffix: Any = None, prefix: Any = None, dir: Any = None, text: bool = False) -> tuple[int, str]:
    path = _make_path(suffix, prefix, dir)
    builtins.open(path, "x").close()
    _descriptors[number := _FIRST_DESCRIPTOR + len(_descriptors)] = path
    return number, path


def _make_path(suffix: Any, prefix: Any, folder: Any) -> str:
    prefix, suffix, folder, _ = _module._sanitize_params(prefix, suffix, folder)
    for name in _module._get_candidate_names():
        path = os.path.join(os.fsdecode(folder), f"{os.fsdecode(prefix)}{name}{os.fsdecode(suffix)}")
        if not os.path.lexists(path):
            return path
    raise FileExistsError(errno.EEXIST, "no usable temporary file name found")


def _open_descriptor(fd: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
    if fd in _descriptors:
        return builtins.open(_descriptors[fd], mode.replace("w", "r+").replace("++", "+"), *args, **options)
    return _fdopen(fd, mode, *args, **options)


def _close_descriptor(fd: int) -> None:
    if fd not in _descriptors:
        _close(fd)


def _write_descriptor(fd: int, data: Any, /) -> int:
    if fd not in _descriptors:
        return _write(fd, data)
    with builtins.open(_descriptors[fd], "ab") as file:
        return file.write(data)


_module.tempdir = "/tmp"  # not a folder of the host
_module.NamedTemporaryFile = _module.TemporaryFile = _open_named
_module.mkstemp = _mkstemp
os.fdopen, os.close, os.write = _open_descriptor, _close_descriptor, _write_descriptor
