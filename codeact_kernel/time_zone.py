"""The time zone of the kernel, which programs get so that "now" and "today" mean the same as in the notebook."""

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


def local_zone(began: datetime | None = None) -> JSONObject:
    """Describe the local time zone by its name, if it has one, and its offsets.

    Args:
        began: a moment that programs take for now when they begin, with its distance from UTC. That distance counts at
            all times, unless it is that of the local zone at that moment.

    Returns:
        `name` is a key of the IANA database or `None`; `offset` is the seconds east of UTC now; the rest has the values
        of the module `time`. With `began`, `now` is that moment.
    """
    if began is not None:
        zone = local_zone() if began.astimezone().utcoffset() == began.utcoffset() else _fixed_zone(began)
        return {**zone, "now": began.timestamp()}
    now = time.localtime()
    offset = now.tm_gmtoff
    return {
        "name": _find_name(os.environ.get("TZ"), offset),
        "offset": offset,
        "timezone": time.timezone,
        "altzone": time.altzone,
        "daylight": time.daylight,
        "names": ["".join(filter(str.isprintable, name))[:40] for name in time.tzname],
    }


def _fixed_zone(moment: datetime) -> JSONObject:
    """Describe a zone that always has the distance from UTC that this moment has."""
    offset, short = int(_seconds(moment)), moment.tzname()
    zone: JSONObject = {"name": None if offset else "UTC", "offset": offset, "timezone": -offset, "altzone": -offset}
    return {**zone, "daylight": 0, "names": [short, short]}


@cache
def _find_name(variable: str | None, offset: int) -> str | None:
    """Return the name of the local zone. `offset` is part of the cache's key, and verifies the name."""
    candidates = [variable.lstrip(":")] if variable else [_read_link(), _read_file()]
    for name in candidates:
        try:
            zone = ZoneInfo(name) if _NAME.fullmatch(name) else None
        except (KeyError, OSError, ValueError):  # no such zone, or no database here
            continue
        if zone is not None and _seconds(datetime.now(zone)) == offset:
            return name
    return _find_by_offsets()


def _find_by_offsets() -> str | None:
    """Return the zone with the same offsets in these years and the most equal ones before.

    This is for systems that give the rules but no name, as with `TZ=CET-1CEST,M3.5.0,M10.5.0/3` or a copy of the zone's
    file.
    """
    now = int(time.time())
    samples = _sample_local_time(range(now - 2 * _YEAR, now + 2 * _YEAR, _YEAR // 50))
    if len({offset for _, offset, _ in samples}) == 1:
        return None  # the offset is enough
    zones = [ZoneInfo(name) for name in sorted(available_timezones())]
    alike = [zone for zone in zones if all(_is_like(zone, *sample) for sample in samples)]
    earlier = _sample_local_time(range(0, now, _YEAR // 4))
    return max(alike, key=lambda zone: sum(_is_like(zone, *there) for there in earlier)).key if alike else None


def _sample_local_time(moments: range) -> list[tuple[int, int, str]]:
    return [(moment, there.tm_gmtoff, there.tm_zone) for moment in moments for there in [time.localtime(moment)]]


def _is_like(zone: ZoneInfo, moment: int, offset: int, short: str) -> bool:
    there = datetime.fromtimestamp(moment, zone)
    return _seconds(there) == offset and there.tzname() == short


def _seconds(moment: datetime) -> float:
    offset = moment.utcoffset()
    return offset.total_seconds() if offset is not None else 0.0


def _read_link() -> str:
    """Return the name from the target of `/etc/localtime`, on Linux and macOS."""
    try:
        return os.path.realpath("/etc/localtime").rpartition("zoneinfo/")[2]
    except OSError:
        return ""


def _read_file() -> str:
    try:
        return Path("/etc/timezone").read_text(encoding="utf-8")[:100].strip()
    except (OSError, ValueError):
        return ""
