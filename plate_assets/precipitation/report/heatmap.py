"""The plate's heat-map as a PNG: a file beside the page, and a small one for an asset's metadata.

Belongs here: matplotlib. Not here: which colour a well has (`plate`).
"""

import io

from plate_assets.precipitation.report.inputs import ReportInputs
from plate_assets.precipitation.report.plate import CELL, LEFT, STATES, TOP, PlateDrawing, draw_plate

HATCHES = {"flagged": "////", "out_of_domain": "....", "excluded": "xxxx", "unscored": "\\\\\\\\"}
OUTLINE = "#e8174b"


def _score_drawing(inputs: ReportInputs) -> PlateDrawing:
    values = dict(inputs.wells.select("Metadata_Well", "score").iter_rows())
    return draw_plate(inputs, values, key="score", title="Precipitation score", measure="score", unit="arbitrary units")


def _segments(path: str) -> list[list[tuple[float, float]]]:
    """The sides of an outline, as pairs of points: `M10 20h28` is from (10, 20) to (38, 20)."""
    found = []
    for side in path.split("M")[1:]:
        way = "h" if "h" in side else "v"
        start, length = side.split(way)
        x, y = (float(v) for v in start.split())
        found.append([(x, y), (x + float(length), y) if way == "h" else (x, y + float(length))])
    return found


def heatmap_png(inputs: ReportInputs, width_in: float = 13.0, dpi: int = 130) -> bytes:
    """Every well by name, one colour scale with its unit, called groups outlined, everything doubtful hatched; PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgba
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch, Rectangle

    drawing = _score_drawing(inputs)
    span, drop = inputs.plate_format.cols * CELL, inputs.plate_format.rows * CELL
    height_in = (width_in - 1.6) * drop / span + 1.35
    figure = Figure(figsize=(width_in, height_in), dpi=dpi, layout="constrained")
    axes = figure.add_subplot()
    name_size = min(11.0, 0.26 * (width_in - 1.6) * 72 / inputs.plate_format.cols)
    for mark in drawing.marks:
        hatch = HATCHES.get(mark.state)
        face = "white" if mark.state == "absent" else mark.colour if mark.colour and mark.state != "excluded" else "#c9ccd1"
        ink = "#9aa1ac" if mark.state == "absent" else "#000000" if face == "#c9ccd1" else mark.ink
        box = axes.add_artist(  # not `add_patch`: it would measure each of them for the axes' limits, which are known
            Rectangle(
                (mark.x + 1, mark.y + 1), CELL - 2, CELL - 2, facecolor=face, hatch=hatch, linewidth=0.6,
                linestyle="--" if mark.state == "absent" else "-",
                edgecolor=to_rgba(ink, 0.45) if hatch or mark.state == "absent" else "white",
            )
        )  # fmt: skip
        name = axes.text(
            mark.x + CELL / 2, mark.y + CELL / 2, mark.name, ha="center", va="center", fontsize=name_size, color=ink
        )
        for inside in (box, name):  # what lies inside the axes needs no room around them: not to be measured, well by well
            inside.set_in_layout(False)
    lines = [segment for _, path in drawing.outlines for segment in _segments(path)]
    axes.add_collection(LineCollection(lines, colors="white", linewidths=5, capstyle="projecting"))
    axes.add_collection(LineCollection(lines, colors=OUTLINE, linewidths=2.6, capstyle="projecting"))
    axes.set_xlim(LEFT - 3, LEFT + span + 3)
    axes.set_ylim(TOP + drop + 3, TOP - 3)
    axes.set_aspect("equal")
    axes.xaxis.tick_top()
    axes.set_xticks([x for _, x in drawing.cols], [text for text, _ in drawing.cols])
    axes.set_yticks([y for _, y in drawing.rows], [text for text, _ in drawing.rows])
    axes.tick_params(length=0, labelsize=9 if inputs.plate_format.wells <= 384 else 7)
    for side in axes.spines.values():
        side.set_visible(False)
    called = len(drawing.outlines)
    title = f"{inputs.plate} · {inputs.timepoint}: precipitation score, {called} of {inputs.calls.height} conditions called"
    # `parse_math` off: a `$` in a plate's name is a dollar
    figure.suptitle(title, fontsize=12, parse_math=False)
    colours = LinearSegmentedColormap.from_list("scale", drawing.scale.stops(65))
    bar = figure.colorbar(
        ScalarMappable(Normalize(drawing.scale.lo, drawing.scale.hi), colours),
        ax=axes, shrink=0.8, pad=0.02, extend="max" if drawing.scale.clipped_high else "neither",
    )  # fmt: skip
    bar.set_label("score, arbitrary units")
    keys: list = [Line2D([], [], color=OUTLINE, linewidth=2.6, label="called condition")] if called else []
    keys += [
        Patch(
            facecolor="#c9ccd1" if state in HATCHES else "white",
            edgecolor="#555",
            hatch=HATCHES.get(state),
            linestyle="-" if state in HATCHES else "--",
            label=STATES[state],
        )
        for state in drawing.states
    ]
    if keys:
        figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), frameon=False, fontsize=9)
    out = io.BytesIO()
    FigureCanvasAgg(figure).print_png(out)  # `savefig` would draw all twice
    return out.getvalue()


def heatmap_thumbnail(inputs: ReportInputs, limit_bytes: int = 20_000) -> bytes:
    """The plate as a small PNG of at most `limit_bytes`, for the metadata of an asset: colours and called groups, no words."""
    from PIL import Image, ImageDraw

    drawing = _score_drawing(inputs)
    for cell in (24, 16, 12, 8, 5):
        if cell * inputs.plate_format.cols > 480 and cell > 8:
            continue
        size = (cell * inputs.plate_format.cols + 4, cell * inputs.plate_format.rows + 4)
        image = Image.new("RGB", size, "#ffffff")
        draw = ImageDraw.Draw(image)
        for mark in drawing.marks:
            x, y = 2 + (mark.col - 1) * cell, 2 + (mark.row - 1) * cell
            box = (x, y, x + cell - 2, y + cell - 2)
            absent = mark.state == "absent"
            draw.rectangle(box, fill=mark.colour or ("#ffffff" if absent else "#c9ccd1"), outline="#d9dde3" if absent else None)
            if mark.state in HATCHES:
                draw.line((x, y + cell - 2, x + cell - 2, y), fill="#000000")
        for _, path in drawing.outlines:
            for (x0, y0), (x1, y1) in _segments(path):
                ends = [1 + (v - edge) / CELL * cell for v, edge in ((x0, LEFT), (y0, TOP), (x1, LEFT), (y1, TOP))]
                draw.line(ends, fill=OUTLINE, width=2)
        out = io.BytesIO()
        image.quantize(64).save(out, "PNG", optimize=True)
        if out.tell() <= limit_bytes:
            break
    return out.getvalue()
