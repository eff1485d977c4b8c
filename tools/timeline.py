#!/usr/bin/env python3
"""Draws a few steps of a trace (--trace FILE) as an SVG: one row per rank, one colour per step.

usage: tools/timeline.py TRACE.json FIRST_STEP LAST_STEP > timeline.svg
"""
import json
import sys

WIDTH, LABEL, ROW, TOP = 960, 190, 34, 44
COLORS = ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#b07aa1"]
SHADES = {"embed": 0.55, "layers": 1.0, "head and draw": 0.75}
IDLE = {"receive", "send", "wait ids"}


def load(path, first, last):
    events = json.load(open(path, encoding="utf-8"))["traceEvents"]
    names = {e["pid"]: e["args"]["name"] for e in events if e["ph"] == "M"}
    spans = [e for e in events if e["ph"] == "X" and first <= e["args"]["step"] <= last]
    if not spans:
        sys.exit(f"{path} has no spans of steps {first} to {last}")
    return names, [e for e in spans if e["name"] not in IDLE and names[e["pid"]] != "coordinator"]


def draw(names, spans):
    begin = min(e["ts"] for e in spans)
    end = max(e["ts"] + e["dur"] for e in spans)
    scale = (WIDTH - LABEL - 20) / (end - begin)
    rows = {pid: i for i, pid in enumerate(sorted({e["pid"] for e in spans}))}
    height = TOP + ROW * len(rows) + 34
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="22" fill="#333">Steps {min(e["args"]["step"] for e in spans)} to '
        f'{max(e["args"]["step"] for e in spans)}; dark: layers, light: embedding, head and draw; '
        f"the number is the step's</text>",
    ]
    for pid, row in rows.items():
        y = TOP + ROW * row
        out.append(f'<text x="12" y="{y + 19}" fill="#333">{names[pid]}</text>')
        out.append(f'<rect x="{LABEL}" y="{y}" width="{WIDTH - LABEL - 20}" height="{ROW - 6}" '
                   f'fill="#f3f3f3"/>')
    for e in spans:
        x = LABEL + (e["ts"] - begin) * scale
        width = max(1.0, e["dur"] * scale)
        y = TOP + ROW * rows[e["pid"]]
        color = COLORS[e["args"]["step"] % len(COLORS)]
        out.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 6}" '
                   f'fill="{color}" fill-opacity="{SHADES.get(e["name"], 1.0)}"/>')
        if e["name"] == "layers" and width > 16:
            out.append(f'<text x="{x + 3:.1f}" y="{y + 19}" fill="#fff">{e["args"]["step"]}</text>')
    axis = TOP + ROW * len(rows) + 6
    for tick in range(0, int(end - begin) + 1, max(1, int((end - begin) / 8 / 500) * 500 or 500)):
        x = LABEL + tick * scale
        out.append(f'<text x="{x:.1f}" y="{axis + 12}" fill="#777">{tick / 1000:g} ms</text>')
    out.append("</svg>")
    return "\n".join(out)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    print(draw(*load(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
