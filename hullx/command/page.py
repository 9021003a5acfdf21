"""The report as one HTML page without other files: a histogram of distances as SVG, and the tables."""

from __future__ import annotations

from html import escape

import numpy as np

from hullx.command.report import Report

BINS, WIDTH, HEIGHT, MARGIN = 40, 640, 220, 34
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:1rem 0}th,td{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #ddd}"
    "th:first-child,td:first-child{text-align:left}rect{fill:#3b6ea5}text{font-size:12px;fill:#444}"
)


def page(found: Report) -> str:
    """The page's text.

    Args:
        found: the report.
    """
    m = len(found.verdicts)
    counts = [(verdict, int((found.verdicts == verdict).sum())) for verdict in ("outside", "inside", "undecided")]
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(found.title)}</title><style>{STYLE}</style></head><body>',
        f"<h1>{escape(found.title)}</h1>",
        _table(["rows", "count", "share"], [[name, f"{count:,}", f"{count / m:.1%}"] for name, count in counts]),
    ]
    if found.quantiles:
        header = ["rows outside", *found.quantiles]
        body = [["distance", *(f"{value:.4g}" for value in found.quantiles.values())]]
        if found.pairwise > 0:
            body.append(["÷ mean pairwise", *(f"{value / found.pairwise:.3g}" for value in found.quantiles.values())])
        parts += [
            "<h2>Distance to the hull</h2>",
            _histogram(found.distance),
            _table(header, body),
            f"<p>Mean distance of two training rows: {found.pairwise:.4g}.</p>",
            "<h2>Features that put rows outside</h2>",
            _table(
                ["feature", "share of squared distance", "rows beyond its range"],
                [[name, f"{share:.1%}", f"{beyond:,}"] for name, share, beyond in found.features[:50]],
            ),
        ]
    parts += [f"<p>Note: {escape(note)}.</p>" for note in found.notes]
    return "\n".join([*parts, "</body></html>", ""])


def _table(header: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _histogram(distance: np.ndarray) -> str:
    """Numbers of rows by distance, as SVG."""
    counts, edges = np.histogram(distance, BINS, (0, float(distance.max())))
    wide, high = (WIDTH - 2 * MARGIN) / BINS, HEIGHT - 2 * MARGIN
    bars = "".join(
        f'<rect x="{MARGIN + i * wide:.1f}" y="{HEIGHT - MARGIN - high * count / counts.max():.1f}" width="{wide - 1:.1f}" '
        f'height="{high * count / counts.max():.1f}"><title>{edges[i]:.4g} to {edges[i + 1]:.4g}: {count:,} rows</title></rect>'
        for i, count in enumerate(counts)
    )
    base = HEIGHT - MARGIN + 16
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Histogram of distances of the rows outside">{bars}'
        f'<text x="{MARGIN}" y="{base}">0</text>'
        f'<text x="{WIDTH - MARGIN}" y="{base}" text-anchor="end">{edges[-1]:.4g}</text>'
        f'<text x="{WIDTH / 2}" y="{base}" text-anchor="middle">distance to the hull</text>'
        f'<text x="{MARGIN}" y="{MARGIN - 10}">most in a bin: {int(counts.max()):,} rows</text></svg>'
    )
