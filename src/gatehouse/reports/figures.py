"""Plots as SVG that lives inside a page: takes its colours and type from the page, in light and in dark. Pure.

Drawn with matplotlib's objects, never with pyplot, so nothing outlives a call. Text stays text, and is never read as
mathematics: a feature may be called `$x$`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from markupsafe import Markup

from gatehouse.reports.wording import short_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SERIES = 4
"""How many lines can be told apart, by colour and by dash; the style sheet names them s1 to s4."""

_WIDTH, _HEIGHT = 320, 190  # CSS pixels: readable at the width of a phone
_MUTED, _RULE, _PAPER = "#000001", "#000002", "#000003"
_LINES = tuple(f"#0000{10 + i}" for i in range(SERIES))
_COLOURS = {
    _MUTED: "var(--muted)",
    _RULE: "var(--rule)",
    _PAPER: "var(--card)",
    **{code: f"var(--s{i + 1})" for i, code in enumerate(_LINES)},
}
_DASHES = ("-", "-", "--", ":")
_MARKERS = ("o", "s", "^", "D")
_LEVEL_DASHES = ((0, (6, 3)), (0, (1.5, 2.5)))
_SETTINGS: dict[Any, object] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "gatehouse",  # the same plot, the same bytes
    "text.parse_math": False,
    "text.usetex": False,
    "font.size": 11,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A figure by unit; units it lacks are a gap."""

    name: str
    points: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """A figure that holds for all units."""

    name: str
    value: float


def trend(key: str, lines: Sequence[Line], levels: Sequence[Level] = (), *, title: str, description: str) -> Markup:
    """Lines over units in their order, and dashed levels across.

    Args:
        key: Distinguishes this plot from the others of its page.
        lines: At most `SERIES`, of one point at least.
        levels: At most two.
    """
    units = sorted({unit for line in lines for unit in line.points})
    with _drawing() as (figure, axes):
        for level, dots in zip(levels, _LEVEL_DASHES, strict=False):
            axes.axhline(level.value, color=_MUTED, linestyle=dots, linewidth=1.4)
        for line, colour, dash, marker in zip(lines, _LINES, _DASHES, _MARKERS, strict=False):
            values = [line.points.get(unit, float("nan")) for unit in units]
            size = 4.5 if len(units) <= 40 else 2
            axes.plot(values, color=colour, linestyle=dash, linewidth=1.8, marker=marker, markersize=size)
        axes.margins(x=0.03, y=0.12)
        _label_units(axes, units)
        return _inline(figure, key, title=title, description=description)


def volumes(key: str, units: Mapping[str, tuple[int, int]], *, title: str, description: str) -> Markup:
    """A bar for each unit: `(part, whole)` rows, the part filled, the rest outlined."""
    order = sorted(units)
    parts = [min(units[unit]) for unit in order]
    rests = [max(units[unit]) - part for unit, part in zip(order, parts, strict=True)]
    places = range(len(order))
    with _drawing(whole=True) as (figure, axes):
        axes.bar(places, parts, width=0.74, color=_LINES[0], linewidth=0)
        axes.bar(places, rests, bottom=parts, width=0.74, color=_PAPER, edgecolor=_LINES[0], linewidth=1)
        axes.margins(x=0.02)
        _label_units(axes, order)
        return _inline(figure, key, title=title, description=description)


def gains(key: str, units: Sequence[tuple[str, float]], mean: float, *, title: str, description: str) -> Markup:
    """A bar for each unit, up where one contender is better and down where it is worse, and their mean, dashed."""
    return _gains(key, tuple(units), mean, title, description)


@lru_cache(maxsize=32)  # the page is written again whenever something is decided, and its plots never change
def _gains(key: str, units: tuple[tuple[str, float], ...], mean: float, title: str, description: str) -> Markup:
    places, values = range(len(units)), [value for _, value in units]
    colours = [_LINES[0] if value >= 0 else _LINES[1] for value in values]
    with _drawing() as (figure, axes):
        axes.bar(places, values, width=0.74, color=colours, linewidth=0)
        axes.axhline(0, color=_MUTED, linewidth=1)
        axes.axhline(mean, color=_MUTED, linestyle=_LEVEL_DASHES[0], linewidth=1.4)
        axes.margins(x=0.02)
        _label_units(axes, [unit for unit, _ in units])
        return _inline(figure, key, title=title, description=description)


@contextmanager
def _drawing(*, whole: bool = False) -> Iterator[tuple[Figure, Axes]]:
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(_WIDTH / 72, _HEIGHT / 72), dpi=72)
        axes = figure.add_axes((0.135, 0.13, 0.85, 0.83))
        axes.patch.set_visible(False)
        figure.patch.set_visible(False)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(_RULE)
        axes.set_axisbelow(True)
        axes.grid(axis="y", color=_RULE, linewidth=0.8)
        axes.tick_params(colors=_MUTED, length=0, pad=6)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=whole))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
        yield figure, axes


def _label_units(axes: Axes, units: Sequence[str]) -> None:
    """The first, the last, and up to two evenly between."""
    last = len(units) - 1
    places = sorted({round(last * step / 3) for step in range(4)})
    axes.set_xticks(places, [short_unit(units[place]) for place in places])
    labels = axes.get_xticklabels()
    if last > 0:
        labels[0].set_horizontalalignment("left")
        labels[-1].set_horizontalalignment("right")


def _inline(figure: Figure, key: str, *, title: str, description: str) -> Markup:
    """The figure as an SVG element with an accessible name, the page's colours and type, and ids of its own."""
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    root = ElementTree.fromstring(written.getvalue())  # noqa: S314 - see above
    referenced = set(re.findall(r"(?:href=\"|url\()#([^\")]+)", written.getvalue()))
    for element in root.iter():
        element.tag, element.tail = _local(element.tag), None
        element.attrib = dict(_attributes(element.attrib, key, referenced))
        for style in element.findall("{*}style"):
            element.remove(style)  # it would apply to the whole page
        if element.tag != "text":
            element.text = None
    root.attrib = {"viewBox": f"0 0 {_WIDTH} {_HEIGHT}", "role": "img", "class": "plot"}
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        child = ElementTree.Element(tag)
        child.text = text
        root.insert(place, child)
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704 - serialised, so escaped


def _attributes(attributes: Mapping[str, str], key: str, referenced: set[str]) -> Iterator[tuple[str, str]]:
    for name, content in attributes.items():
        local = _local(name)
        if local == "id":
            if content in referenced:
                yield local, f"{key}-{content}"
        elif local in ("href", "clip-path"):
            yield local, content.replace("#", f"#{key}-")
        else:
            yield local, _restyled(content)


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _restyled(content: str) -> str:
    for code, variable in _COLOURS.items():
        content = content.replace(code, variable)
    return re.sub(r"font-family: [^;]*; ", "", content)
