"""Load the rules of time zones from the pack. The importer loads this module after `zoneinfo`."""

import binascii
import io
import zoneinfo
from typing import Any
from zoneinfo import _common

from ..bootstrap import host


def _load(key: str) -> io.BytesIO:
    rules = host("zone", name=key)
    if rules is None:
        raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {key}")
    return io.BytesIO(binascii.a2b_base64(rules))


def _names() -> set[str]:
    return set(host("zone", name=None))


_common.load_tzdata = _load  # type: ignore[attr-defined]
_module: Any = zoneinfo
_module.available_timezones = _names
zoneinfo.reset_tzpath(to=[])
