"""Curves: what is drawn stands in the right place, and names from outside draw nothing."""

from __future__ import annotations

from xml.etree import ElementTree

from rl.training.curves import curves_svg, series, spark
from rl.verl.metrics import StepMetrics

STEPS = [StepMetrics(step=n, total_steps=4, reward=0.5 * n, loss=-float(n)) for n in (1, 2, 3, 4)]


def test_blocks_rise_with_the_values() -> None:
    assert spark([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert spark([2, 2]) == "▁▁"
    assert spark([]) == ""
    assert spark(list(map(float, range(1000))))[0] == "▁"
    assert len(spark(list(map(float, range(1000))))) == 40


def test_numbers_that_were_not_told_have_no_curve() -> None:
    assert series(STEPS, "reward") == [(1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0)]
    assert series(STEPS, "kl") == []


def test_the_picture_has_a_panel_a_number_and_a_harmless_title() -> None:
    root = ElementTree.fromstring(curves_svg(STEPS, "<script>a & b"))
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 2
    first, *_, last = [tuple(map(float, p.split(","))) for p in lines[0].attrib["points"].split()]
    assert first[0] < last[0]
    assert first[1] > last[1], "the reward rises"
    assert "<script>a & b" in "".join(root.itertext())


def test_one_step_is_a_picture_too() -> None:
    assert ElementTree.fromstring(curves_svg(STEPS[:1], "one")).tag.endswith("svg")
    assert ElementTree.fromstring(curves_svg([], "none")).tag.endswith("svg")
