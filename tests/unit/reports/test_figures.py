"""Plots are read as a browser reads them: as elements, names and colours."""

from __future__ import annotations

import subprocess
import sys
from xml.etree import ElementTree

from gatehouse.reports.figures import Level, Line, gains, trend, volumes


def drawn(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - our own


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in drawn(svg).iter("text")]


def strokes(svg: str) -> list[str]:
    """Colours of the lines, in the order they are drawn."""
    styles = [element.get("style", "") for element in drawn(svg).iter("path")]
    return [s.partition("stroke: ")[2].partition(";")[0] for s in styles if "fill: none" in s]


def test_a_trend_has_an_accessible_name_and_names_its_first_and_last_unit() -> None:
    line = Line(name="1", points={"2013-04-01": 0.5, "2013-04-02": 0.6, "2013-04-03": 0.4})

    svg = trend("loss", [line], title="log_loss <by> day", description="One & only")

    assert [drawn(svg).get("role"), drawn(svg).findtext("title"), drawn(svg).findtext("desc")] == [
        "img",
        "log_loss <by> day",
        "One & only",
    ]
    assert texts(svg)[:3] == ["1 Apr", "2 Apr", "3 Apr"]


def test_lines_and_levels_take_their_colours_from_the_page() -> None:
    lines = [Line(name="2", points={"a": 1.0, "b": 2.0}), Line(name="1", points={"a": 2.0, "b": 1.0})]

    svg = trend("loss", lines, [Level(name="hold-out", value=1.5)], title="", description="")

    shown = [colour for colour in strokes(svg) if colour != "var(--rule)"]
    assert shown == ["var(--muted)", "var(--s1)", "var(--s2)"]
    assert "#0000" not in svg


def test_a_unit_without_a_figure_is_a_gap() -> None:
    whole = trend("loss", [Line(name="1", points={"a": 1.0, "b": 2.0, "c": 1.0})], title="", description="")
    lines = [Line(name="1", points={"a": 1.0, "c": 1.0}), Line(name="2", points={"b": 2.0})]
    broken = trend("loss", lines, title="", description="")

    def pieces(svg: str) -> int:
        paths = [
            e for e in drawn(svg).iter("path") if "stroke: var(--s1)" in e.get("style", "") and "clip-path" in e.attrib
        ]
        return sum(path.get("d", "").count("L") for path in paths)

    assert (pieces(whole), pieces(broken)) == (2, 0)


def test_names_that_look_like_mathematics_are_printed_as_they_are() -> None:
    svg = trend("loss", [Line(name="1", points={"$x^2$": 1.0})], title="", description="")

    assert texts(svg)[0] == "$x^2$"


def test_two_plots_on_one_page_share_no_id() -> None:
    line = Line(name="1", points={"a": 1.0, "b": 2.0})
    ids = [
        element.attrib["id"]
        for key in ("loss", "auc")
        for element in drawn(trend(key, [line], title="", description="")).iter()
        if "id" in element.attrib
    ]

    assert ids != []
    assert sorted(set(ids)) == sorted(ids)


def test_every_reference_inside_a_plot_has_its_target() -> None:
    svg = trend("loss", [Line(name="1", points={"a": 1.0, "b": 2.0})], title="", description="")
    ids = {element.get("id") for element in drawn(svg).iter()}
    references = {e.get("href", "")[1:] for e in drawn(svg).iter("use")}
    references |= {e.get("clip-path", "")[5:-1] for e in drawn(svg).iter() if "clip-path" in e.attrib}

    assert references != set()
    assert references <= ids


def test_volumes_fill_the_part_and_outline_the_rest() -> None:
    svg = volumes("volume", {"a": (1, 4), "b": (4, 4)}, title="", description="")
    bars = [e.get("style", "") for e in drawn(svg).iter("path") if "fill: var(" in e.get("style", "")]

    assert [style.partition(";")[0] for style in bars] == ["fill: var(--s1)"] * 2 + ["fill: var(--card)"] * 2


def test_the_same_plot_is_the_same_text() -> None:
    line = Line(name="1", points={"a": 1.0, "b": 2.0})

    assert len({trend("loss", [line], title="t", description="d") for _ in range(2)}) == 1


def test_drawing_loads_no_state_of_matplotlib_and_importing_loads_no_matplotlib() -> None:
    program = (
        "import sys; from gatehouse.reports.figures import Line, trend; before = 'matplotlib' in sys.modules;"
        "trend('k', [Line(name='1', points={'a': 1.0})], title='', description='');"
        "print(before, 'matplotlib.pyplot' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert said == "False False\n"


def test_gains_are_bars_from_nought_in_one_colour_up_and_another_down_with_their_mean_dashed() -> None:
    units = [("2013-04-01", 0.5), ("2013-04-02", -0.25), ("2013-04-03", 0.05)]

    svg = gains("gain", units, 0.1, title="Gain", description="Day by day")

    filled = [s for e in drawn(svg).iter("path") if "fill: var(--s" in (s := e.get("style", ""))]
    assert [s.partition("fill: ")[2].partition(";")[0].split(" ")[0] for s in filled] == [
        "var(--s1)",
        "var(--s2)",
        "var(--s1)",
    ]
    assert "stroke-dasharray" in svg
    assert texts(svg)[:3] == ["1 Apr", "2 Apr", "3 Apr"]
