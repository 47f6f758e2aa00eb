"""wasi:http, present and denied.

The guest imports wasi:http, so a linker must define it. wasmtime's own `add_wasi_http()` opens unrestricted outbound
HTTP, loopback included, and must never be called. Here the interface is defined from the component's own types; making
a request answers "denied", and whatever else is called ends the instance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wasmtime import Engine, WasmtimeError
from wasmtime import component as wasm

__all__ = ["add_denied_http"]

_TYPES = "wasi:http/types@0.2.0"
_HANDLER = "wasi:http/outgoing-handler@0.2.0"
_BORROWED = {"io-error", "input-stream", "output-stream", "pollable"}  # aliases of wasi:io's resources
_HARMLESS = {"[constructor]fields": "fields", "[constructor]outgoing-request": "outgoing-request"}


def add_denied_http(linker: wasm.Linker, component: wasm.Component, engine: Engine) -> None:
    """Define wasi:http in `linker`, denied."""
    types, handler = (_exports(component, engine, name) for name in (_TYPES, _HANDLER))
    names = [name for name, kind in types.items() if isinstance(kind, wasm.ResourceType) and name not in _BORROWED]
    numbers = {name: 1_000 + index for index, name in enumerate(names)}
    numbers["headers"] = numbers["trailers"] = numbers["fields"]  # these two are other names of it
    with linker.root() as root:
        with root.add_instance(_TYPES) as instance:
            for name, number in numbers.items():
                instance.add_resource(name, wasm.ResourceType.host(number), _answering(None))
            for name, kind in types.items():
                if isinstance(kind, wasm.FuncType):
                    instance.add_func(name, _releasing(_function(name, kind, numbers)))
        with root.add_instance(_HANDLER) as instance:
            denied = _result(handler["handle"], "err", wasm.Variant("HTTP-request-denied"))
            instance.add_func("handle", _releasing(_answering(denied)))


def _exports(component: wasm.Component, engine: Engine, name: str) -> dict[str, Any]:
    interface: Any = component.type.imports(engine)[name].ty
    return {key: value.ty for key, value in interface.exports(engine).items()}


def _function(name: str, kind: Any, numbers: dict[str, int]) -> Callable[..., Any]:
    if name in _HARMLESS:
        return _answering(wasm.ResourceHost.own(1, numbers[_HARMLESS[name]]))
    if name == "[static]fields.from-list":
        return _answering(_result(kind, "ok", wasm.ResourceHost.own(1, numbers["fields"])))
    if name.startswith("[method]outgoing-request.set-"):
        return _answering(_result(kind, "ok"))
    if name == "[method]outgoing-request.body":
        return _answering(_result(kind, "err"))

    def deny(*_: Any) -> Any:
        raise WasmtimeError(f"{name} is not available in the sandbox")

    return deny


def _answering(answer: Any) -> Callable[..., Any]:
    return lambda *_: answer


def _result(kind: Any, tag: str, value: Any = None) -> Any:
    # wasmtime wants a result whose two sides cannot be confused without its tag, and gives no public way to ask.
    return wasm.Variant(tag, value) if kind.result._tagged() else value


def _releasing(function: Callable[..., Any]) -> Callable[..., Any]:
    """The host must give back the handles it was lent."""

    def call(store: Any, *arguments: Any) -> Any:
        for argument in arguments:
            if isinstance(argument, wasm.ResourceAny):
                argument.drop(store)
        return function(store, *arguments)

    return call
