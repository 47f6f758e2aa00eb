"""Use the notebook's time zone as local time. The guest's own C library knows only UTC.

Functions of `time` and methods of `datetime` are replaced, unless the notebook is in UTC. If a recorded turn is
repeated, the clock begins at the recorded time and goes on from there.
"""

import datetime as dates
import gc
import sys
import time
from collections.abc import Mapping
from typing import Any

_config: dict[str, Any] = {}
_zones: list[dates.tzinfo] = []
_asctime, _strftime, _gmtime = time.asctime, time.strftime, time.gmtime


def start_run(config: Mapping[str, Any], namespace: dict[str, Any]) -> None:
    """Set the notebook's time zone in the guest's first run."""
    if _config:
        return
    _config.update(config)
    if "now" in config:
        _set_clock(config["now"])
    if "now" in config or (config["name"] not in ("UTC", "Etc/UTC") and (config["name"] or config["offset"])):
        _install()


def _get_zone() -> dates.tzinfo:
    if not _zones:
        try:
            from zoneinfo import ZoneInfo

            _zones.append(ZoneInfo(_config["name"]))
        except Exception:  # the zone has no name, or is newer than the pack's data
            offset = dates.timedelta(seconds=_config["offset"])
            is_summer = _config["daylight"] and _config["offset"] == -_config["altzone"]
            _zones.append(dates.timezone(offset, _config["names"][bool(is_summer)]))
    return _zones[0]


# -- the module time ---------------------------------------------------------------------------------------------------


def localtime(seconds: float | None = None, /) -> time.struct_time:
    local = dates.datetime.fromtimestamp(time.time() if seconds is None else seconds, _get_zone())
    parts = local.timetuple()
    offset = local.utcoffset() or dates.timedelta()
    return time.struct_time((*parts[:8], int(bool(local.dst())), local.tzname(), int(offset.total_seconds())))


def mktime(parts: Any, /) -> float:
    year, month, day, hour, minute, second, *_, summer = tuple(parts)[:9]
    years, month = divmod(month - 1, 12)
    rest = dates.timedelta(days=day - 1, hours=hour, minutes=minute, seconds=second)
    moment = dates.datetime(year + years, month + 1, 1, tzinfo=_get_zone()) + rest
    if summer < 0:
        return moment.timestamp()
    readings = [moment, moment.replace(fold=1)]
    for reading in readings:
        if bool(reading.dst()) == bool(summer):
            return reading.timestamp()
    saved = (moment.dst() or dates.timedelta(seconds=time.altzone - time.timezone)).total_seconds()
    return moment.timestamp() + saved  # summer time for a date in winter, or the reverse


def asctime(parts: Any = None, /) -> str:
    return _asctime(localtime() if parts is None else parts)


def ctime(seconds: float | None = None, /) -> str:
    return _asctime(localtime(seconds))


def strftime(form: str, parts: Any = None, /) -> str:
    parts = localtime() if parts is None else parts
    if isinstance(form, str) and "%s" in form:  # the C library counts these seconds in UTC
        form = "%%".join(part.replace("%s", str(int(mktime(parts)))) for part in form.split("%%"))
    return _strftime(form, parts)


# -- the classes of datetime, whose attributes Python protects ---------------------------------------------------------

_of_datetime: dict[str, Any] = gc.get_referents(dates.datetime.__dict__)[0]
_of_date: dict[str, Any] = gc.get_referents(dates.date.__dict__)[0]
_fromtimestamp = _of_datetime["fromtimestamp"]
_astimezone, _timestamp = _of_datetime["astimezone"], _of_datetime["timestamp"]


def now(cls: Any, tz: Any = None) -> Any:
    return fromtimestamp(cls, time.time(), tz)


def utcnow(cls: Any) -> Any:
    return fromtimestamp(cls, time.time(), dates.UTC).replace(tzinfo=None)


def fromtimestamp(cls: Any, timestamp: float, tz: Any = None) -> Any:
    if tz is not None:
        return _fromtimestamp.__get__(None, cls)(timestamp, tz)
    return _fromtimestamp.__get__(None, cls)(timestamp, _get_zone()).replace(tzinfo=None)


def astimezone(self: Any, tz: Any = None) -> Any:
    aware = self if self.utcoffset() is not None else self.replace(tzinfo=_get_zone())
    if tz is not None:
        return _astimezone(aware, tz)
    local = _astimezone(aware, _get_zone())
    return local.replace(tzinfo=dates.timezone(local.utcoffset(), local.tzname()))


def timestamp(self: Any) -> float:
    return _timestamp(self if self.utcoffset() is not None else self.replace(tzinfo=_get_zone()))


def today(cls: Any) -> Any:
    return cls.fromtimestamp(time.time())


def date_fromtimestamp(cls: Any, timestamp: float, /) -> Any:
    return cls(*localtime(timestamp)[:3])


def _set_clock(now: float) -> None:
    """Let the clock begin at `now`. The monotonic clocks stay as they are."""
    read, read_any = time.time, time.clock_gettime
    shift = now - read()

    def shifted() -> float:
        return read() + shift

    def shifted_ns() -> int:
        return int(shifted() * 1e9)

    def gmtime(seconds: float | None = None, /) -> time.struct_time:
        return _gmtime(shifted() if seconds is None else seconds)

    def clock_gettime(clock: int, /) -> float:
        return shifted() if clock == time.CLOCK_REALTIME else read_any(clock)

    def clock_gettime_ns(clock: int, /) -> int:
        return int(clock_gettime(clock) * 1e9)

    functions: dict[str, Any] = {"time": shifted, "time_ns": shifted_ns, "gmtime": gmtime}
    functions |= {"clock_gettime": clock_gettime, "clock_gettime_ns": clock_gettime_ns}
    for name, function in functions.items():
        setattr(time, name, staticmethod(function))  # as an attribute of a class, it does not become a method
    _of_datetime.update(utcnow=classmethod(utcnow))


def _install() -> None:
    functions: tuple[Any, ...] = (localtime, mktime, asctime, ctime, strftime)
    for function in functions:
        setattr(time, function.__name__, staticmethod(function))  # likewise
    time.timezone, time.altzone, time.daylight = _config["timezone"], _config["altzone"], _config["daylight"]  # type: ignore[misc]
    time.tzname = tuple(_config["names"])  # type: ignore[misc]
    if "logging" in sys.modules:
        sys.modules["logging"].Formatter.converter = time.localtime
    # No code has looked these up before, so the interpreter has not cached the old values.
    _of_datetime.update(now=classmethod(now), fromtimestamp=classmethod(fromtimestamp))
    _of_datetime.update(astimezone=astimezone, timestamp=timestamp)
    _of_date.update(today=classmethod(today), fromtimestamp=classmethod(date_fromtimestamp))
