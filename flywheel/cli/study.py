"""evaluate --modes: the compression study, precision of a page reader against its vision tokens by mode.

The DeepSeek-OCR paper's table on the Fox benchmark (section 4.1): pages grouped by how many text tokens
their truth has, and for each mode the precision (1 - CER, no lower than 0) and the compression (text
tokens for each vision token).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from flywheel.cli import show

if TYPE_CHECKING:
    from flywheel.wire import Trial

GROUP = 100  # text tokens in one group, as in the paper's table
MOST_GROUPS = 12  # beyond which the groups grow


@dataclass(frozen=True, slots=True)
class Point:
    """Result of one file in one mode. Tokens are of all its pages; text tokens are of the truth."""

    file: str
    mode: str
    vision_tokens: int
    text_tokens: int
    precision: float

    @property
    def compression(self) -> float:
        return self.text_tokens / self.vision_tokens


def report(checkpoint: str, runs: Mapping[str, Sequence[Trial]], plot: Path | None, *, as_json: bool) -> None:
    """Print the study, and draw it into `plot`. Exit code 1 when a file could not be read."""
    points = [point for mode, found in runs.items() for trial in found if (point := _point(mode, trial))]
    unread = [
        f"{trial.name} in {mode} mode"
        for mode, found in runs.items()
        for trial in found
        if _point(mode, trial) is None
    ]
    rows = _rows(points, list(runs))
    if plot is not None:
        plot.write_text(picture(points, checkpoint), encoding="utf-8")
    files = [{**asdict(point), "compression": point.compression} for point in points]

    def render() -> None:
        _show(checkpoint, rows, list(runs))
        for name in unread:
            show.note(f"not read: {name}")
        if plot is not None:
            show.note(f"drawn in {plot}")

    data = {"checkpoint": checkpoint, "files": files, "groups": rows, "unread": unread}
    show.answer(data, render, as_json=as_json)
    if unread:
        raise typer.Exit(1)


def _point(mode: str, trial: Trial) -> Point | None:
    scores = trial.scores
    vision = sum(page.vision_tokens or 0 for page in trial.pages)
    if scores is None or not scores.truth_tokens or not vision or any(p.label is None for p in trial.pages):
        return None
    return Point(trial.name, mode, vision, scores.truth_tokens, max(0.0, 1 - scores.cer))


def _rows(points: Sequence[Point], modes: Sequence[str]) -> list[dict[str, Any]]:
    """Group the points by text tokens: range and size of each group, with the means by mode."""
    if not points:
        return []
    most = max(point.text_tokens for point in points)
    width = GROUP * max(1, -(-most // (GROUP * MOST_GROUPS)))
    rows = []
    for low in range(0, most + 1, width):
        inside = [point for point in points if low <= point.text_tokens < low + width]
        if inside:
            by_mode = {mode: _mean([point for point in inside if point.mode == mode]) for mode in modes}
            files = len({point.file for point in inside})
            rows.append({"text_tokens": [low, low + width], "files": files, "modes": by_mode})
    return rows


def _mean(points: Sequence[Point]) -> dict[str, float] | None:
    if not points:
        return None
    return {
        name: sum(getattr(point, name) for point in points) / len(points)
        for name in ("precision", "compression", "vision_tokens")
    }


def _show(checkpoint: str, rows: list[dict[str, Any]], modes: Sequence[str]) -> None:
    title = f"{checkpoint}: precision, and text tokens for each vision token"
    made = show.table(">text tokens", ">files", *(f">{mode}" for mode in modes), title=title)
    for row in rows:
        means = (row["modes"][mode] for mode in modes)
        cells = [
            "-" if m is None else f"{show.rate(m['precision'])} [dim]{m['compression']:.1f}x[/]" for m in means
        ]
        low, high = row["text_tokens"]
        made.add_row(f"{low}-{high}", show.count(row["files"]), *cells)
    show.echo(made)


COLOURS = ("#0b6e99", "#c2410c", "#15803d", "#7e22ce", "#b45309", "#be123c")
FONT = 'font-family="sans-serif" font-size="12"'
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 400, 60, 40, 130, 50  # pixels


def picture(points: Sequence[Point], checkpoint: str) -> str:
    """Draw an SVG of precision over compression, a dot a file, a colour a mode."""
    from html import escape

    across = max((point.compression for point in points), default=1.0) * 1.05
    plane = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {FONT}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="15">Precision against compression: {escape(checkpoint)}</text>',
        f'<text x="{LEFT}" y="{HEIGHT - 10}">text tokens for each vision token</text>',
    ]
    for step in range(6):
        y, x = TOP + plane[1] * (1 - step / 5), LEFT + plane[0] * step / 5
        parts += [
            f'<line x1="{LEFT}" x2="{LEFT + plane[0]}" y1="{y}" y2="{y}" stroke="#ddd"/>',
            f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{step * 20} %</text>',
            f'<text x="{x}" y="{TOP + plane[1] + 18}" text-anchor="middle">{across * step / 5:.1f}</text>',
        ]
    modes = list(dict.fromkeys(point.mode for point in points))
    for number, mode in enumerate(modes):
        colour, y = COLOURS[number % len(COLOURS)], TOP + 10 + 20 * number
        parts.append(f'<circle cx="{WIDTH - RIGHT + 22}" cy="{y}" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 34}" y="{y + 4}">{escape(mode)}</text>')
        for point in points:
            if point.mode == mode:
                x = LEFT + plane[0] * point.compression / across
                height = TOP + plane[1] * (1 - point.precision)
                title = escape(f"{point.file}: {point.precision:.1%}, {point.vision_tokens} vision tokens")
                parts.append(
                    f'<circle cx="{x:.1f}" cy="{height:.1f}" r="4" fill="{colour}" fill-opacity="0.7">'
                    f"<title>{title}</title></circle>"
                )
    return "\n".join([*parts, "</svg>\n"])
