"""The pieces of pictures: what they measure, and that nothing global changes."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from ctvae.plotting import (
    EdgeStyle,
    EndMark,
    LegendEntry,
    draw_box,
    draw_curve,
    draw_legend,
    text_width,
    to_svg,
)

STRAIGHT = np.array([[0.0, 0.0], [0.5, 0.5], [1.0, 1.0], [2.0, 2.0]])


@pytest.mark.parametrize("name", ["i", "WWWWWWWW", "a rather long name", "$c_1$", "two\nlines"])
def test_names_are_as_wide_as_measured(name):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 1), dpi=200)
    axes = figure.add_axes((0, 0, 1, 1))
    draw_box(axes, name, (0.5, 0.5), 1.0)
    figure.canvas.draw()
    drawn = axes.texts[0].get_window_extent().width / figure.dpi
    assert text_width(name) == pytest.approx(drawn, rel=0.04, abs=0.04)


@pytest.mark.parametrize("start", EndMark)
@pytest.mark.parametrize("end", EndMark)
def test_marks_touch_the_ends_and_lines_stop_at_them(start, end):
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle, PathPatch, Polygon

    axes = Figure().add_subplot()
    draw_curve(axes, STRAIGHT, EdgeStyle("black", dashed=True), start, end)
    paths = [patch.get_path() for patch in axes.patches if isinstance(patch, PathPatch)]
    lines = [np.asarray(path.vertices) for path in paths]
    for line in lines:
        for place, mark in ((0, start), (-1, end)):
            cut = np.hypot(*(line[place] - STRAIGHT[place]))
            assert (cut > 0.05) == (mark is not EndMark.TAIL)
    circles = [patch for patch in axes.patches if isinstance(patch, Circle)]
    assert len(circles) == [start, end].count(EndMark.CIRCLE)
    for circle in circles:
        away = np.hypot(*(STRAIGHT[[0, -1]] - circle.get_center()).T)
        assert away.min() == pytest.approx(circle.get_radius())
    heads = [patch.get_xy() for patch in axes.patches if isinstance(patch, Polygon)]
    assert len(heads) == [start, end].count(EndMark.ARROW)
    for head in heads:
        assert any(np.allclose(head[0], STRAIGHT[place]) for place in (0, -1))


def test_pyplot_and_its_state_stay_untouched():
    import matplotlib as mpl
    from matplotlib.figure import Figure

    before = dict(mpl.rcParams)
    loaded = "matplotlib.pyplot" in sys.modules
    figure = Figure()
    style = EdgeStyle("black", label="edge")
    draw_curve(figure.add_subplot(), STRAIGHT, style, EndMark.CIRCLE, EndMark.ARROW)
    draw_legend(figure, [LegendEntry(style, EndMark.ARROW, EndMark.CIRCLE)])
    svg = to_svg(figure)
    assert svg.startswith("<svg")
    assert svg == to_svg(figure)
    assert dict(mpl.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == loaded
