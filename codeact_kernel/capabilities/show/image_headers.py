"""Read the type and size of PNG and JPEG files from their headers, and check that the files are complete."""

from __future__ import annotations

import struct
import zlib

from ...errors import ProgramError

__all__ = ["image_size"]

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_DAMAGED = "the image is damaged: give the whole bytes of a PNG or JPEG file"


def image_size(data: bytes) -> tuple[str, int, int]:
    """Return the media type, and the width and height in pixels.

    Raises:
        ProgramError: if it is neither a PNG nor a JPEG file, or is damaged.
    """
    try:
        if data.startswith(_PNG):
            return "image/png", *_png(data)
        if data.startswith(_JPEG):
            return "image/jpeg", *_jpeg(data)
    except (struct.error, IndexError):
        raise ProgramError(_DAMAGED) from None
    raise ProgramError("an image must be the bytes of a PNG or JPEG file, and these are neither")


def _png(data: bytes) -> tuple[int, int]:
    """Read all chunks. Bytes between chunks or after the last chunk are an error."""
    kinds: list[bytes] = []
    position = len(_PNG)
    while kinds[-1:] != [b"IEND"]:
        length, kind = struct.unpack_from(">I4s", data, position)
        (checksum,) = struct.unpack_from(">I", data, position + 8 + length)
        if zlib.crc32(data[position + 4 : position + 8 + length]) != checksum:
            raise ProgramError(_DAMAGED)
        kinds.append(kind)
        position += 12 + length
    if position != len(data) or kinds[0] != b"IHDR" or b"IDAT" not in kinds:
        raise ProgramError(_DAMAGED)
    return struct.unpack_from(">II", data, len(_PNG) + 8)


def _jpeg(data: bytes) -> tuple[int, int]:
    """Read the segments up to the frame header, which contains the size."""
    if b"\xff\xd9" not in data:  # anywhere, because cameras append their own data
        raise ProgramError(_DAMAGED)
    position = 2
    while True:
        (marker, length) = struct.unpack_from(">HH", data, position)
        if marker >> 8 != 0xFF or length < 2:
            raise ProgramError(_DAMAGED)
        if 0xFFC0 <= marker <= 0xFFCF and marker not in (0xFFC4, 0xFFC8, 0xFFCC):
            height, width = struct.unpack_from(">HH", data, position + 5)
            return width, height
        position += 2 + length
