"""Layout of the flow diagram: boxes, lines of text and arrows of an SVG picture."""

import textwrap
from collections.abc import Sequence
from typing import Any

from core.reporting.format import counts

WIDTH = 640
_LINE, _PAD, _GAP = 18, 10, 26  # pixels
_CHARACTER = 6.9  # pixels, mean width at 13 px
_MAIN, _SIDE = (0, 310), (350, 290)  # x and width of the columns


def flow_diagram(flow: dict[str, Any], sides: Sequence[str]) -> dict[str, Any]:
    """Lays out the diagram.

    Args:
      flow: see `flow.image_flow`.
      sides: names of the negative and the positive side.

    Returns:
      `width` and `height` of the picture; `boxes`: rows of `x`, `y`, `width`, `height`, `title`
      (number of lines) and `lines` (each `y` and `text`); `arrows` and `lines`: SVG paths.
    """
    boxes: list[dict[str, Any]] = []
    arrows: list[str] = []
    center, right = _MAIN[0] + _MAIN[1] // 2, _MAIN[0] + _MAIN[1]
    y = bottom = 0
    for main, side in _steps(flow):
        if boxes:
            arrows.append(f"M{center} {bottom}V{y}")
        boxes.append(_box(_MAIN, y, main))
        bottom = ends = y + boxes[-1]["height"]
        if side:
            boxes.append(_box(_SIDE, y, side))
            arrows.append(f"M{right} {(y + bottom) // 2}H{_SIDE[0]}")
            ends = max(bottom, y + boxes[-1]["height"])
        y = ends + _GAP
    columns = len(flow["decisions"])
    width = (WIDTH - _GAP * (columns - 1)) // columns
    columns_at = [(i * (width + _GAP), width) for i in range(columns)]
    middles = [x + width // 2 for x, _ in columns_at]
    lines = [f"M{center} {bottom}V{y}M{min(middles)} {y}H{max(middles)}"]
    names = {"POSITIVE": f"Predicted {sides[1]}", "NEGATIVE": f"Predicted {sides[0]}"}
    for content in (
        lambda row: [names.get(row["decision"], "Referred"), f"n = {row['images']:,}"],
        lambda row: [
            "Reference standard",
            f"{sides[1]}: {row['positives']:,}",
            f"{sides[0]}: {row['negatives']:,}",
        ],
    ):
        arrows += [f"M{middle} {y}v{_GAP}" for middle in middles]
        row = [
            _box(column, y + _GAP, content(decision))
            for column, decision in zip(columns_at, flow["decisions"], strict=True)
        ]
        boxes += row
        height = max(box["height"] for box in row)
        for box in row:
            box["height"] = height
        y += _GAP + height
    return {"width": WIDTH, "height": y, "boxes": boxes, "arrows": arrows, "lines": lines}


def _steps(flow: dict[str, Any]) -> list[tuple[list[str], list[str]]]:
    """Returns the lines of each box of the main column and of the box beside it."""
    files, test = flow["files"], flow["test"]
    steps: list[tuple[list[str], list[str]]] = []
    if files:
        skipped = sum(files["skipped"].values())
        steps.append(
            (
                ["Files found", f"n = {files['found']:,}"],
                [
                    f"Not used: {files['rejected'] + skipped:,}",
                    _with_kinds("rejected", files["rejected"], files["reasons"]),
                    _with_kinds("skipped by name", skipped, files["skipped"]),
                ],
            )
        )
        development = [
            f"{row['split']}: {row['images']:,} images"
            + (f" of {row['patients']:,} patients" if row["patients"] is not None else "")
            for row in flow["development"]
        ]
        steps.append(
            (
                ["Images in the data set", f"n = {files['written']:,}"],
                ["Development", *development] if development else [],
            )
        )
    left_out = [
        f"Left out: {test['not_scored'] + test['outside_task']:,}",
        f"not scored: {test['not_scored']:,}",
        f"no label in the task: {test['outside_task']:,}",
    ]
    steps.append((["Test split", f"n = {test['records']:,}"], left_out))
    evaluated = f"n = {test['images']:,} of {test['patients']:,} patients"
    return [*steps, (["Scored, with a reference label", evaluated], [])]


def _with_kinds(name: str, total: int, kinds: dict[str, int]) -> str:
    return f"{name}: {total:,}" + (f" ({counts(kinds)})" if kinds else "")


def _box(column: tuple[int, int], y: int, lines: list[str]) -> dict[str, Any]:
    x, width = column
    room = int((width - 2 * _PAD) / _CHARACTER)
    wrapped = [part for line in lines for part in textwrap.wrap(line, room)]
    title = len(textwrap.wrap(lines[0], room))
    return {
        "x": x,
        "y": y,
        "width": width,
        "height": len(wrapped) * _LINE + 2 * _PAD - 4,
        "title": title,
        "lines": [{"y": y + _PAD + 12 + i * _LINE, "text": text} for i, text in enumerate(wrapped)],
    }
