"""A page that is complete in itself and runs nothing that a name brings along: escaping, its policy, its data, its numbers.

Belongs here: what any page needs. Not here: what one says (the sciences' `report`, `morning`), the skeleton, the looks and the
behaviour of all (`templates`: `base.html`, `parts.html`, `page.css`, `page.js`).
"""

import base64
import hashlib
import json
from datetime import datetime
from functools import cache
from importlib.resources import files
from math import ceil, floor, isfinite, log10

import numpy as np
import polars as pl
from jinja2 import ChoiceLoader, Environment, PackageLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup

PAGES = "plate_assets.pages"


def render_page(package: str, template: str, script: str = "", **values: object) -> str:
    """A whole page: a package's template, which fills the blocks of `pages/base.html`, with the one style sheet.

    script: the package's own, which runs behind `page.js`. The page's policy lets nothing else take effect.
    """
    style = _source(PAGES, "page.css")
    runs = _source(PAGES, "page.js") + (_source(package, script) if script else "")
    policy = content_security_policy(style, runs)
    made = environment(package).get_template(template)
    return made.render(style=Markup(style), script=Markup(runs), policy=policy, **values)


@cache
def environment(package: str) -> Environment:
    """The environment of a package's templates: every value is escaped, an unknown name is an error.

    What all pages share is there as well, under `pages/`.
    """
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package, "templates"), PrefixLoader({"pages": PackageLoader(PAGES, "templates")})]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["number"] = number
    made.filters["count"] = count
    made.filters["safe_link"] = safe_link
    return made


def _source(package: str, name: str) -> str:
    """A style sheet or script of a package, as text."""
    return (files(package) / "templates" / name).read_text(encoding="utf-8")


def safe_link(address: str) -> str:
    """The address where it leads to a page or a file, `#` where it would run something (`javascript:` and its like)."""
    head = "".join(address.split()).lower().partition(":")
    leads = not head[1] or head[0] in ("http", "https", "file") or any(c in head[0] for c in "/?#")
    return address if leads else "#"


def content_security_policy(style: str, script: str) -> str:
    """Nothing is fetched, only this style sheet and this script take effect, pictures are data alone."""

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    own = f"style-src {digest(style)}; script-src {digest(script)}"
    return f"default-src 'none'; img-src data:; {own}; base-uri 'none'; form-action 'none'"


def json_block(value: object) -> Markup:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def data_uri(data: bytes, kind: str) -> str:
    """A picture as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def rounded(values: np.ndarray, digits: int = 4) -> list[float | None]:
    """Numbers (n,) with so many digits that count, None where there is none: what JSON of a curve needs."""
    return [float(f"{v:.{digits}g}") if isfinite(v) else None for v in np.asarray(values, dtype=float).tolist()]


def ticks(lo: float, hi: float, about: int = 5) -> list[float]:
    """Round numbers between lo and hi, some `about` of them."""
    if not (isfinite(lo) and isfinite(hi)) or hi <= lo:
        return [lo]
    raw = (hi - lo) / about
    power = 10.0 ** floor(log10(raw))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if raw <= power * m * 1.0001)
    first, last = ceil(lo / step - 1e-9), floor(hi / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def number(value: object) -> str:
    """A number as people read it: four digits that count, a dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return count(int(value))
    if isinstance(value, float | np.floating):
        if not isfinite(value):
            return "–"
        return f"{float(value):.0f}" if 1e4 <= abs(value) < 1e9 else f"{float(value):.4g}"
    return str(value)


def count(value: int) -> str:
    """A count with its thousands apart: `27,624`."""
    return f"{value:,}"


def one_value(table: pl.DataFrame, column: str) -> str:
    """The values of a column that should be one for the whole table: `3`, or `3, 4` where there are two."""
    return ", ".join(number(v) for v in table[column].drop_nulls().unique(maintain_order=True).to_list()) or "–"


def when(moment: datetime | None) -> str:
    """A moment as pages name it: to the minute, with its time zone where it has one."""
    return moment.strftime("%Y-%m-%d %H:%M %Z").strip() if moment else "–"
