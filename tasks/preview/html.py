"""Pages that need no other file and no network: data into HTML, everything escaped, nothing fetched."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import jinja2

from tasks.preview.timeline import format_time

_HERE = Path(__file__).parent


def render_page(template: Path, **facts: Any) -> bytes:
    """A page of a template that extends `base.html.j2`: UTF-8, complete in itself, and only its own script may run in it.

    Args:
        template: its file.
        facts: what the template is told; all of it is escaped.
    """
    script, style = ((_HERE / f"page.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    own = {"script": script, "script_hash": _csp_hash(script), "style": style}
    return _environment(template.parent).get_template(template.name).render(**own, **facts).encode()


def _environment(folder: Path) -> jinja2.Environment:
    # Autoescape is switched on outright: jinja2 would decide by the file name, and `.j2` is not among those it knows.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _HERE]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "clock": format_time,
        "size": format_bytes,
        "hue": object_colour,
        "grouped": format_count,
        "words": format_reason,
    }
    environment.filters.update(filters)
    return environment


def _csp_hash(script: str) -> str:
    """What the page's content security policy lets run: this script and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def format_bytes(count: int) -> str:
    """A number of bytes in decimal units, three digits."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}"


def format_count(count: int) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{count:,}".replace(",", "\u2009")


def format_reason(code: str) -> str:
    """A reason code as words."""
    return code.replace("_", " ")


def object_colour(object_id: int) -> str:
    """CSS colour of an object's ID: eight hues, then the same darker and lighter; none is the red of the markers."""
    hues = (250, 60, 155, 315, 95, 200, 345, 125)
    lightness = (0.74, 0.6, 0.86)[(object_id - 1) // len(hues) % 3]
    return f"oklch({lightness} 0.15 {hues[(object_id - 1) % len(hues)]})"
