"""The time zone of the kernel, which programs are told: "now" and "today" mean the same there and in the notebook."""

from __future__ import annotations

import os
import re
import time
from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from .values import JSONObject

__all__ = ["local_zone"]

_NAME = re.compile(r"[A-Za-z0-9_+\-]{1,40}(?:/[A-Za-z0-9_+\-]{1,40}){0,3}")


def local_zone() -> JSONObject:
    """Describe the local time zone: its name where it has one, and its offsets. Nothing else of the machine goes in.

    Returns:
        `name` is a key of the IANA database or `None`; `offset` is the seconds east of UTC now; the rest is what the
        module `time` says.
    """
    now = time.localtime()
    offset = now.tm_gmtoff
    return {
        "name": _name(os.environ.get("TZ"), offset),
        "offset": offset,
        "timezone": time.timezone,
        "altzone": time.altzone,
        "daylight": time.daylight,
        "names": ["".join(filter(str.isprintable, name))[:40] for name in time.tzname],
    }


@cache
def _name(variable: str | None, offset: int) -> str | None:
    """The name of the zone in which the local time is what it is. `offset` is a key for the cache, and a check."""
    candidates = [variable.lstrip(":")] if variable else [_of_link(), _of_file()]
    for name in candidates:
        try:
            zone = ZoneInfo(name) if _NAME.fullmatch(name) else None
        except (OSError, ValueError):  # no such zone, or no database here
            continue
        if zone is not None and _seconds(datetime.now(zone)) == offset:
            return name
    return None


def _seconds(moment: datetime) -> float:
    offset = moment.utcoffset()
    return offset.total_seconds() if offset is not None else 0.0


def _of_link() -> str:
    """`/etc/localtime` leads to the file of the zone, on Linux and macOS."""
    try:
        return os.path.realpath("/etc/localtime").rpartition("zoneinfo/")[2]
    except OSError:
        return ""


def _of_file() -> str:
    try:
        return Path("/etc/timezone").read_text(encoding="utf-8")[:100].strip()
    except (OSError, ValueError):
        return ""
