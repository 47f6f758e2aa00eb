"""A host function from texts to a text or an error's text, straight on wasmtime's C interface.

wasmtime-py's own asks for the function's type anew at every call and converts by it: 35 µs, where this takes 8.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import byref, string_at
from typing import Any, TypeAlias

import wasmtime
from wasmtime import component as wasm

__all__ = ["Textual", "add_textual"]

Textual: TypeAlias = Callable[[bytes, bytes], tuple[bool, str]]
"""Takes two texts in UTF-8; gives whether all is well, and the answer or the error."""

_wasmtime: Any = wasmtime  # the C interface is not in its public part, nor are the pointers of errors
_error: Any = wasmtime.WasmtimeError
ffi = _wasmtime._ffi

_STRING, _RESULT = ffi.WASMTIME_COMPONENT_STRING.value, ffi.WASMTIME_COMPONENT_RESULT.value
_NO_FINALIZER: Any = ctypes.CFUNCTYPE(None, ctypes.c_void_p)()
_copy_into: Any = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)(
    ("wasm_byte_vec_new", ffi.dll)
)


def add_textual(
    instance: wasm.LinkerInstance, name: str, function: Textual, *, longest: int, failed: Callable[[Exception], None]
) -> object:
    """Define `name` in `instance`, which the guest declares as `func(string, string) -> result<string, string>`.

    Args:
        longest: bytes of a text; one that is longer is refused unread.
        failed: told what `function` raised, before the guest's run ends by it.

    Returns:
        What has to live as long as the linker.
    """

    def call(_: Any, context: Any, kind: Any, arguments: Any, count: int, results: Any, made: int) -> int:
        try:
            first, second = arguments[0].of.string, arguments[1].of.string
            if max(first.size, second.size) > longest:
                well, answer = False, f"a message of over {longest:,} characters"
            else:
                well, answer = function(string_at(first.data, first.size), string_at(second.data, second.size))
            _fill(results[0], well, answer.encode())
        except Exception as error:
            failed(error)
            return ctypes.cast(_error("the host function failed")._consume(), ctypes.c_void_p).value or 0
        return 0

    callback = ffi.wasmtime_component_func_callback_t(call)
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
    _copy_into(byref(value.of.string), len(data), data)
    result.kind = _RESULT
    result.of.result.is_ok = well
    result.of.result.val = ffi.wasmtime_component_val_new(byref(value))
