"""Name time zones, and find them by their names."""

from __future__ import annotations

import re
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Any, cast

__all__ = ["find_zone", "name_zone", "pandas_zone"]

_FIXED = re.compile(r"UTC([+-])([01][0-9]|2[0-3]):([0-5][0-9])")


def name_zone(zone: tzinfo) -> str | None:
    """Return the name of a zone, such as `UTC`, `UTC+02:00` or `Europe/Berlin`; `None` if it has none of this kind."""
    known = cast("Any", zone)
    name = getattr(known, "key", None) or getattr(known, "zone", None) or str(known)
    if name in ("UTC", "tzutc()"):
        return "UTC"
    if name.startswith(("UTC+", "UTC-")):
        return name if _FIXED.fullmatch(name) else None
    if name.startswith("pytz.FixedOffset("):
        minutes = int(name[len("pytz.FixedOffset(") : -1])
        return f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    return name if "/" in name or hasattr(known, "key") or hasattr(known, "zone") else None


def pandas_zone(name: str) -> str | tzinfo:
    """Return what pandas takes for a zone that `name_zone` named. It makes its own objects from names.

    Raises:
        ValueError: if there is no such zone.
    """
    zone = find_zone(name)
    return zone if _FIXED.fullmatch(name) else name


def find_zone(name: str) -> tzinfo:
    """Return the zone with a name that `name_zone` gives.

    Raises:
        ValueError: if there is no such zone.
    """
    if name == "UTC":
        return UTC
    if fixed := _FIXED.fullmatch(name):
        sign, hours, minutes = fixed.groups()
        return timezone(int(f"{sign}1") * timedelta(hours=int(hours), minutes=int(minutes)))
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found, or not a valid name
        raise ValueError(f"there is no time zone {name[:60]!r}") from None
