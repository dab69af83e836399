"""Self-contained HTML pages from templates, escaped, without external resources."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import jinja2

from tasks.preview.timeline import format_time

_HERE = Path(__file__).parent


def render_page(template: Path, **facts: Any) -> bytes:
    """Render a template that extends `base.html.j2` to UTF-8; only the page's own script may run in it.

    Args:
        template: path of the template.
        facts: variables of the template, all of which are escaped.
    """
    script, style = ((_HERE / f"page.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    own = {"script": script, "script_hash": _csp_hash(script), "style": style}
    return _environment(template.parent).get_template(template.name).render(**own, **facts).encode()


def _environment(folder: Path) -> jinja2.Environment:
    # Autoescape is enabled explicitly: jinja2 would decide by the suffix, and does not know `.j2`.
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
    """Hash of the script in the page's content security policy, which allows no other script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def format_bytes(count: int) -> str:
    """Number of bytes in decimal units with three digits."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}"


def format_count(count: int) -> str:
    """Integer with thin spaces between groups of thousands."""
    return f"{count:,}".replace(",", "\u2009")


def format_reason(code: str) -> str:
    """Reason code as words."""
    return code.replace("_", " ")


def object_colour(object_id: int) -> str:
    """CSS colour of an object ID: eight hues, then darker and lighter ones, without the red of the markers."""
    hues = (250, 60, 155, 315, 95, 200, 345, 125)
    lightness = (0.74, 0.6, 0.86)[(object_id - 1) // len(hues) % 3]
    return f"oklch({lightness} 0.15 {hues[(object_id - 1) % len(hues)]})"
