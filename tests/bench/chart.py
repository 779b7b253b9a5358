"""Draws line charts with logarithmic axes, two a row, as one SVG document that is readable on light and on dark ground.

Knows nothing of what it draws; plot.py does.
"""

import dataclasses
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 340, 210  # of the inside of one chart
LEFT, TOP, RIGHT, BOTTOM = 78, 40, 22, 84  # around it: labels, title, nothing, labels and legend
COLUMNS = 2
LEGEND_LINE = 15

# Light ground, dark ground. Told apart also by those who do not see red and green as two.
COLOURS = [("#0b62c4", "#6cb0ff"), ("#555555", "#b0b0b0"), ("#c2570c", "#ff9d5c"), ("#7a3fa0", "#cf9bf0")]


@dataclasses.dataclass
class Series:
    name: str
    colour: int
    points: list  # of (x, y), both above 0
    dashed: bool = False


@dataclasses.dataclass
class Chart:
    title: str
    x_label: str
    y_label: str
    series: list


def style():
    def colours(which):
        lines = "".join(f".s{i}{{stroke:{pair[which]}}}.d{i}{{fill:{pair[which]}}}" for i, pair in enumerate(COLOURS))
        ink, grid, ground = (("#1b1f24", "#d8dee4", "#ffffff"), ("#e6edf3", "#30363d", "#0d1117"))[which]
        return f"text{{fill:{ink}}}.grid{{stroke:{grid}}}.axis{{stroke:{ink}}}.ground{{fill:{ground}}}{lines}"

    return (
        "<style>text{font:12px sans-serif}.title{font-weight:bold}.tick{font-size:11px}.line{fill:none;stroke-width:2}"
        ".grid{stroke-width:1}.axis{stroke-width:1;fill:none}.dashed{stroke-dasharray:6 4}"
        f"{colours(0)}@media (prefers-color-scheme:dark){{{colours(1)}}}</style>"
    )


def power_label(value, base):
    """10^6 as 1M; 2^16 as 64Ki, but 2^10 as 1024."""
    if value < 2048 and base == 2:
        return f"{value:g}"
    step, names = (1000, ["", "k", "M", "G"]) if base == 10 else (1024, ["", "Ki", "Mi", "Gi"])
    index = 0
    while value >= step and index + 1 < len(names):
        value, index = value / step, index + 1
    return f"{value:g}{names[index]}"


class Axis:
    """A logarithmic scale from the power of its base at or below the smallest value to the one at or above the largest."""

    def __init__(self, values, base, begin, end):
        self.base, self.begin, self.end = base, begin, end
        self.first = math.floor(math.log(min(values), base) + 1e-9)
        self.last = max(self.first + 1, math.ceil(math.log(max(values), base) - 1e-9))

    def at(self, value):
        share = (math.log(value, self.base) - self.first) / (self.last - self.first)
        return self.begin + share * (self.end - self.begin)

    def ticks(self):
        step = max(1, math.ceil((self.last - self.first) / 6))
        return [self.base**power for power in range(self.first, self.last + 1, step)]


def text(x, y, words, anchor="middle", kind="", turn=""):
    attributes = (f' class="{kind}"' if kind else "") + (f' transform="{turn}"' if turn else "")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{attributes}>{escape(words)}</text>'


def draw_axes(chart, x_axis, y_axis):
    parts = []
    for value in x_axis.ticks():
        x = x_axis.at(value)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{HEIGHT}"/>')
        parts.append(text(x, HEIGHT + 16, power_label(value, x_axis.base), kind="tick"))
    for value in y_axis.ticks():
        y = y_axis.at(value)
        parts.append(f'<line class="grid" x1="0" y1="{y:.1f}" x2="{WIDTH}" y2="{y:.1f}"/>')
        parts.append(text(-6, y + 4, power_label(value, y_axis.base), "end", "tick"))
    parts.append(f'<path class="axis" d="M0 0V{HEIGHT}H{WIDTH}"/>')
    parts.append(text(WIDTH / 2, -14, chart.title, kind="title"))
    parts.append(text(WIDTH / 2, HEIGHT + 34, chart.x_label))
    parts.append(text(-54, HEIGHT / 2, chart.y_label, turn=f"rotate(-90 -54 {HEIGHT / 2})"))
    return parts


def draw_series(series, x_axis, y_axis):
    places = [(x_axis.at(x), y_axis.at(y)) for x, y in series.points]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    parts = [f'<path class="line s{series.colour}{" dashed" if series.dashed else ""}" d="M{path}"/>']
    if not series.dashed:
        parts += [f'<circle class="d{series.colour}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places]
    return parts


def draw_legend(drawn):
    parts = []
    for index, series in enumerate(drawn):
        x, y = (index % 2) * WIDTH / 2, HEIGHT + 54 + index // 2 * LEGEND_LINE
        dashed = " dashed" if series.dashed else ""
        parts.append(f'<line class="line s{series.colour}{dashed}" x1="{x}" y1="{y - 4}" x2="{x + 24}" y2="{y - 4}"/>')
        parts.append(text(x + 30, y, series.name, "start", "tick"))
    return parts


def draw(chart):
    drawn = [series for series in chart.series if series.points]
    if not drawn:
        return [text(WIDTH / 2, HEIGHT / 2, f"{chart.title}: not measured")]
    every = [point for series in drawn for point in series.points]
    x_axis = Axis([x for x, _ in every], 2, 0, WIDTH)
    y_axis = Axis([y for _, y in every], 10, HEIGHT, 0)
    parts = draw_axes(chart, x_axis, y_axis)
    for series in drawn:
        parts += draw_series(series, x_axis, y_axis)
    return parts + draw_legend(drawn)


def document(charts):
    cell_width, cell_height = LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM
    width, height = COLUMNS * cell_width, math.ceil(len(charts) / COLUMNS) * cell_height
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">', style()]
    parts.append(f'<rect class="ground" width="{width}" height="{height}"/>')
    for index, chart in enumerate(charts):
        x, y = index % COLUMNS * cell_width + LEFT, index // COLUMNS * cell_height + TOP
        parts.append(f'<g transform="translate({x} {y})">')
        parts += draw(chart)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"]) + "\n"
