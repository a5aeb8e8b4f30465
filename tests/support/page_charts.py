"""The charts of a page: whether each has axes with titles and ticks, and its numbers as a table."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

CHART = re.compile(r'<svg [^>]*role="img".*?</svg>', re.DOTALL)


def read_charts(page: str) -> tuple[set[str], list[tuple[str, str]]]:
    """Return the labels of a page's charts, and what each lacks.

    A picture in a cell of a table is part of that table; one of its own stands in a figure that has
    the table, or names it.
    """
    labels, faults = set(), []
    for drawn in CHART.finditer(page):
        svg = ET.fromstring(drawn[0].replace("&nbsp;", " "))
        label = svg.get("aria-label", "")
        before = page[: drawn.start()]
        if before.count("<td") > before.count("</td>"):
            continue
        if svg.get("class") == "spark" and re.search(r"\d", label):
            continue  # a line beside a figure: its label says what it counts, and how high it goes
        labels.add(label)
        faults += [(label, what) for what in _lacks(svg, page, before, drawn.end())]
    return labels, faults


def _lacks(svg: ET.Element, page: str, before: str, end: int) -> list[str]:
    of_class = {
        kind: [one.text for one in svg.iter() if one.get("class") == kind and one.text]
        for kind in ("axis", "tick")
    }
    # Rows with names, such as lanes or bars, have ticks on one axis alone.
    axes = 1 if {"lanes", "forest", "bars"} & set(svg.get("class", "").split()) else 2
    faults = []
    if len(of_class["axis"]) < axes:
        faults.append(f"titles == {of_class['axis']}")
    if len(of_class["tick"]) < 2 * axes:
        faults.append(f"ticks == {of_class['tick']}")
    if before.count("<figure") <= before.count("</figure>"):
        return [*faults, "no figure"]
    figure = page[before.rindex("<figure") : page.index("</figure>", end)]
    named = re.search(r'data-table="([^"]+)"', figure)
    if "<table" not in figure and (named is None or f'<table id="{named[1]}"' not in page):
        faults.append("no table")
    return faults
