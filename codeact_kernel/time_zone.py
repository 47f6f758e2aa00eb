"""The time zone of the kernel, which programs are told: "now" and "today" mean the same there and in the notebook."""

from __future__ import annotations

import os
import re
import time
from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from .types import JSONObject

__all__ = ["local_zone"]

_NAME = re.compile(r"[A-Za-z0-9_+\-]{1,40}(?:/[A-Za-z0-9_+\-]{1,40}){0,3}")
_YEAR = 365 * 86_400


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
        except (KeyError, OSError, ValueError):  # no such zone, or no database here
            continue
        if zone is not None and _seconds(datetime.now(zone)) == offset:
            return name
    return _of_offsets()


def _of_offsets() -> str | None:
    """The zone that is like the local one these years, and most like it before: where only the rules are known, as by
    `TZ=CET-1CEST,M3.5.0,M10.5.0/3`, or by a copy of the zone's file."""
    now = int(time.time())
    local = _local(range(now - 2 * _YEAR, now + 2 * _YEAR, _YEAR // 50))
    if len({offset for _, offset, _ in local}) == 1:
        return None  # the offset says all
    zones = [ZoneInfo(name) for name in sorted(available_timezones())]
    alike = [zone for zone in zones if all(_is_like(zone, *there) for there in local)]
    earlier = _local(range(0, now, _YEAR // 4))
    return max(alike, key=lambda zone: sum(_is_like(zone, *there) for there in earlier)).key if alike else None


def _local(moments: range) -> list[tuple[int, int, str]]:
    return [(moment, there.tm_gmtoff, there.tm_zone) for moment in moments for there in [time.localtime(moment)]]


def _is_like(zone: ZoneInfo, moment: int, offset: int, short: str) -> bool:
    there = datetime.fromtimestamp(moment, zone)
    return _seconds(there) == offset and there.tzname() == short


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
