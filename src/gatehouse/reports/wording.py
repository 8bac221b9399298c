"""How numbers and moments are written, the same on every page. A figure that is not there is a dash, never a zero."""

from __future__ import annotations

from datetime import datetime

DASH = "–"  # noqa: RUF001 - typographically a dash


def count(number: float | None) -> str:
    """A whole number: 12,345."""
    return DASH if number is None else f"{number:,.0f}"


def number(value: float | None) -> str:
    """A measurement, to about four significant digits: 0.4512, 12.35, 12,346."""
    if value is None:
        return DASH
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    digits = 1 if size >= 100 else 2 if size >= 10 else 3 if size >= 1 else 4
    return f"{value:.{digits}f}" if size == 0 or size >= 0.001 else f"{value:.2g}"


def share(part: float | None) -> str:
    """A fraction in per cent, never rounded to a whole that it is not: 99.9 %."""
    if part is None:
        return DASH
    percent = 100 * part
    if percent in (0.0, 100.0):
        return f"{percent:.0f} %"
    return f"{min(max(percent, 0.1), 99.9):.1f} %" if 0 < percent < 100 else f"{percent:.1f} %"


def day(moment: datetime | None) -> str:
    """1 April 2013."""
    return DASH if moment is None else f"{moment.day} {moment:%B %Y}"


def moment(instant: datetime | None) -> str:
    """The day, with the time unless it is midnight: 1 April 2013, 06:00 UTC."""
    if instant is None:
        return DASH
    return day(instant) if instant.time() == instant.min.time() else f"{day(instant)}, {instant:%H:%M} UTC"


def stretch(start: datetime, end: datetime) -> str:
    """From one moment to another, with no more words than needed: 4 March to 1 April 2013."""
    return f"{start.day} {start:%B} to {day(end)}" if start.year == end.year else f"{day(start)} to {day(end)}"


def days(number_of: int) -> str:
    """1 day, 28 days."""
    return f"{number_of:,} day" + ("" if number_of == 1 else "s")


def short_unit(unit: str) -> str:
    """A unit's name for an axis: `24 Apr` for a date, else as it is, cut after 10 characters."""
    try:
        read = datetime.strptime(unit, "%Y-%m-%d")  # noqa: DTZ007 - a name that looks like a date
    except ValueError:
        return unit if len(unit) <= 10 else unit[:9] + "…"
    return f"{read.day} {read:%b}"
