"""wasi:http, present and denied.

The guest imports wasi:http, so a linker must define it. Here making a request fails with "denied", and every other
function ends the instance, except for the few that a program calls to put a request together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wasmtime import Engine, WasmtimeError
from wasmtime import component as wasm

from ...guest.build_guest import define_http

__all__ = ["add_denied_http"]

_CONSTRUCTORS = {"[constructor]fields": "fields", "[constructor]outgoing-request": "outgoing-request"}


def add_denied_http(linker: wasm.Linker, component: wasm.Component, engine: Engine) -> None:
    """Define wasi:http in `linker`, denied."""
    with linker.root() as root:
        define_http(root, component, engine, _implement)


def _implement(name: str, kind: Any, resources: Mapping[str, int]) -> Callable[..., Any]:
    return _releasing(_denied(name, kind, resources))


def _denied(name: str, kind: Any, resources: Mapping[str, int]) -> Callable[..., Any]:
    if name == "handle":
        return _returning(_result(kind, "err", wasm.Variant("HTTP-request-denied")))
    if name in _CONSTRUCTORS:
        return _returning(wasm.ResourceHost.own(1, resources[_CONSTRUCTORS[name]]))
    if name == "[static]fields.from-list":
        return _returning(_result(kind, "ok", wasm.ResourceHost.own(1, resources["fields"])))
    if name.startswith("[method]outgoing-request.set-"):
        return _returning(_result(kind, "ok"))
    if name == "[method]outgoing-request.body":
        return _returning(_result(kind, "err"))

    def deny(*_: Any) -> Any:
        raise WasmtimeError(f"{name} is not available in the sandbox")

    return deny


def _returning(value: Any) -> Callable[..., Any]:
    return lambda *_: value


def _result(kind: Any, tag: str, value: Any = None) -> Any:
    # wasmtime takes a result without its tag if the two sides differ in type, and has no public way to ask.
    return wasm.Variant(tag, value) if kind.result._tagged() else value


def _releasing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that it gives back the handles that it was lent, as the host must."""

    def call(store: Any, *arguments: Any) -> Any:
        for argument in arguments:
            if isinstance(argument, wasm.ResourceAny):
                argument.drop(store)
        return function(store, *arguments)

    return call
