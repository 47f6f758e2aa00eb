"""Refuse to look up names where the guest's `socket` lacks the functions. The importer loads this after `socket`."""

import socket
from typing import Any, NoReturn

_NAMES = ("getaddrinfo", "gethostbyaddr", "gethostbyname", "gethostbyname_ex", "getnameinfo")
_native: Any = socket._socket  # type: ignore[attr-defined]


def _refuse(*_: object, **__: object) -> NoReturn:
    raise socket.gaierror("the sandbox has no network of its own: use the tools, or http_get(...) if it is there")


for _name in _NAMES:
    if not hasattr(_native, _name):
        setattr(_native, _name, _refuse)
        if _name != "getaddrinfo":  # `socket` has a function around that one
            setattr(socket, _name, _refuse)
