"""What a benchmark returns, and how it is written."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


@dataclass
class Row:
    """One line: ours beside a peer and a limit of the same run.

    A target is a bound on one of the ratios or on our own figure, such as `share_of_limit >= 0.3`.
    """

    what: str
    ours: float
    unit: str
    peer: float | None = None
    limit: float | None = None
    target: str = ""
    higher_is_better: bool = True
    spread: str = ""
    ratio_to_peer: float | None = field(init=False)
    share_of_limit: float | None = field(init=False)
    met: bool | None = field(init=False)

    def __post_init__(self) -> None:
        def ratio(ours: float, other: float | None) -> float | None:
            if not other or not (ours or self.higher_is_better):  # a ratio of nothing
                return None
            return ours / other if self.higher_is_better else other / ours

        self.ratio_to_peer = ratio(self.ours, self.peer)
        self.share_of_limit = ratio(self.ours, self.limit)
        self.met = None
        if self.target:
            name, sign, bound = self.target.split()
            value = getattr(self, name)
            other = {"ratio_to_peer": self.peer, "share_of_limit": self.limit}.get(name)
            if value is None and other and not self.ours:
                value = math.inf  # nothing at all, where less is better: better than any ratio
            if value is not None:
                self.met = value >= float(bound) if sign == ">=" else value <= float(bound)


def median_of(values: list[float]) -> tuple[float, str]:
    """Return the median and the range of repeated runs."""
    return float(statistics.median(values)), f"{min(values):.4g} to {max(values):.4g}"


def machine() -> dict[str, object]:
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {"cores": os.cpu_count(), "processor": model, "system": platform.system()}


def write_result(
    name: str, size: str, rows: list[Row], notes: str = "", packages: tuple[str, ...] = ()
) -> Path:
    FOLDER.mkdir(exist_ok=True)
    known = ("django", "psycopg", "redis", "uvicorn", "numpy", *packages)
    data = {
        "name": name,
        "size": size,
        "machine": machine(),
        "versions": {"python": platform.python_version(), **{p: version(p) for p in known}},
        "notes": notes,
        "rows": [asdict(row) for row in rows],
    }
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(data, indent=1) + "\n")
    for row in rows:
        met = {True: f", {row.target}", False: f", NOT {row.target}", None: ""}[row.met]
        print(f"{row.what}: {_number(row.ours)} {row.unit}{met}")
    return path


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def write_between_marks(page: Path, mark: str, lines: list[str]) -> None:
    """Replace what stands between the two marks of a page."""
    text = page.read_text()
    start, end = text.index(mark), text.rindex(mark)
    page.write_text(text[: start + len(mark)] + "\n" + "\n".join(lines) + "\n" + text[end:])


def write_page() -> None:
    """Rewrite docs/benchmarks.md from every result there is."""
    parts = [
        "# Benchmarks\n\nWritten by `make bench`; do not edit. Every figure stands beside a peer or a limit of the "
        "same run: on another machine the ratios hold better than the figures. Medians; the spread is the range "
        "of repetitions. No figure is of a GPU: none was at hand, so what training in bfloat16 gains there was not "
        "measured.\n"
    ]
    for path in sorted(FOLDER.glob("*.json")):
        data = json.loads(path.read_text())
        about = data["machine"]
        versions = ", ".join(f"{name} {number}" for name, number in data["versions"].items())
        parts.append(
            f"\n## {data['name']}\n\n{about['cores']} cores, {about['processor']}; size {data['size']}; {versions}.\n\n"
            "| what | ours | spread | peer | limit | unit | × peer | share of limit | target | met |\n"
            "|---|---|---|---|---|---|---|---|---|---|\n"
        )
        for row in data["rows"]:
            met = {True: "yes", False: "**no**", None: ""}[row["met"]]
            share = "–" if row["share_of_limit"] is None else f"{row['share_of_limit']:.0%}"
            target = (
                row["target"]
                .replace("ratio_to_peer", "× peer")
                .replace("share_of_limit", "share of limit")
            )
            parts.append(
                f"| {row['what']} | {_number(row['ours'])} | {row['spread']} | {_number(row['peer'])} | "
                f"{_number(row['limit'])} | {row['unit']} | {_number(row['ratio_to_peer'])} | {share} | {target} | {met} |\n"
            )
        if data["notes"]:
            parts.append(f"\n{data['notes']}\n")
        _draw(path, data)
        parts.append(f"\n![{data['name']}](benchmarks/{data['name']}.svg)\n")
    PAGE.write_text("".join(parts))


def _draw(path: Path, data: dict) -> None:
    """Draw ours, peer and limit of each row as bars."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "bakeoff"
    rows = data["rows"]
    figure, axes = plt.subplots(len(rows), 1, figsize=(8, 0.9 * len(rows) + 0.6), squeeze=False)
    for axis, row in zip(axes[:, 0], rows, strict=True):
        bars = [(name, row[name]) for name in ("limit", "ours", "peer") if row[name] is not None]
        colours = {"limit": "#9aa4b1", "ours": "#285ea8", "peer": "#c77b30"}
        axis.barh([b[0] for b in bars], [b[1] for b in bars], color=[colours[b[0]] for b in bars])
        axis.set_title(f"{row['what']} ({row['unit']})", fontsize=8, loc="left")
        axis.tick_params(labelsize=7)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    figure.tight_layout()
    folder = PAGE.parent / "benchmarks"
    folder.mkdir(exist_ok=True)
    figure.savefig(folder / f"{data['name']}.svg", metadata={"Date": None})
    plt.close(figure)
