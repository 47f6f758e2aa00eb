"""Host functions straight on wasmtime's C interface: texts to a text or an error's text, and a number to so many bytes.

wasmtime-py's own asks for the function's type anew at every call and converts by it: 35 µs, where a text takes 8, and
one more for every byte of a list.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import byref, string_at
from typing import Any, TypeAlias

import wasmtime
from wasmtime import component as wasm

__all__ = ["StringFunction", "add_bytes", "add_textual", "ffi"]

StringFunction: TypeAlias = Callable[[bytes, bytes], tuple[bool, str]]
"""Takes two texts in UTF-8; gives whether all is well, and the answer or the error."""

_wasmtime: Any = wasmtime  # the C interface is not in its public part, nor are the pointers of errors
_error: Any = wasmtime.WasmtimeError
ffi = _wasmtime._ffi

_STRING, _RESULT = ffi.WASMTIME_COMPONENT_STRING.value, ffi.WASMTIME_COMPONENT_RESULT.value
_LIST = ffi.WASMTIME_COMPONENT_LIST.value
_NO_FINALIZER: Any = ctypes.CFUNCTYPE(None, ctypes.c_void_p)()
_Copying: Any = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)
_new_text = _Copying(("wasm_byte_vec_new", ffi.dll))
_new_list = _Copying(("wasmtime_component_vallist_new", ffi.dll))


def _as_value(byte: int) -> bytes:
    value = ffi.wasmtime_component_val_t()
    value.kind = ffi.WASMTIME_COMPONENT_U8.value
    value.of.u8 = byte
    return bytes(value)


_AS_VALUE = [_as_value(byte) for byte in range(256)]


def add_textual(
    instance: wasm.LinkerInstance,
    name: str,
    function: StringFunction,
    *,
    longest: int,
    failed: Callable[[Exception], None],
) -> object:
    """Define `name` in `instance`, which the guest declares as `func(string, string) -> result<string, string>`.

    Args:
        longest: bytes of a text; one that is longer is refused unread.
        failed: told what `function` raised, before the guest's run ends by it.

    Returns:
        What has to live as long as the linker.
    """

    def call(arguments: Any, result: Any) -> None:
        first, second = arguments[0].of.string, arguments[1].of.string
        if max(first.size, second.size) > longest:
            well, answer = False, f"a message of over {longest:,} characters"
        else:
            well, answer = function(string_at(first.data, first.size), string_at(second.data, second.size))
        _fill(result, well, answer.encode())

    return _define(instance, name, call, failed)


def add_bytes(instance: wasm.LinkerInstance, name: str, function: Callable[[int], bytes], *, most: int) -> object:
    """Define `name` in `instance`, which the guest declares as `func(u64) -> list<u8>`. Asking for over `most` ends it.

    Returns:
        What has to live as long as the linker.
    """

    def call(arguments: Any, result: Any) -> None:
        count = arguments[0].of.u64
        if count > most:
            raise ValueError(f"{count:,} bytes at once")
        values = b"".join(map(_AS_VALUE.__getitem__, function(count)))
        result.kind = _LIST
        _new_list(byref(result.of.list), count, values)

    return _define(instance, name, call, lambda error: None)


def _define(
    instance: wasm.LinkerInstance, name: str, call: Callable[[Any, Any], None], failed: Callable[[Exception], None]
) -> object:
    def run(_: Any, context: Any, kind: Any, arguments: Any, count: int, results: Any, made: int) -> int:
        try:
            call(arguments, results[0])
        except Exception as error:
            failed(error)
            return ctypes.cast(_error("the host function failed")._consume(), ctypes.c_void_p).value or 0
        return 0

    callback = ffi.wasmtime_component_func_callback_t(run)
    encoded = name.encode()
    error = ffi.wasmtime_component_linker_instance_add_func(
        instance.ptr(), ctypes.create_string_buffer(encoded), len(encoded), callback, None, _NO_FINALIZER
    )
    if error:
        raise _error._from_ptr(error)
    return callback


def _fill(result: Any, well: bool, data: bytes) -> None:
    """Make `result` the answer; what it points to is wasmtime's from now on."""
    value = ffi.wasmtime_component_val_t()
    value.kind = _STRING
    _new_text(byref(value.of.string), len(data), data)
    result.kind = _RESULT
    result.of.result.is_ok = well
    result.of.result.val = ffi.wasmtime_component_val_new(byref(value))
