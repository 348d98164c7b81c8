"""The look of the arcade's cards: plain HTML that follows JupyterLab's and Voilà's theme."""

from __future__ import annotations

import html
from collections.abc import Iterable

CSS = """<style>
.awm-card { border: 1px solid var(--jp-border-color1, #bdbdbd); border-radius: 10px; padding: 0 0 8px;
  overflow: hidden; background: var(--jp-layout-color1, #fff); color: var(--jp-ui-font-color1, #111);
  box-shadow: 0 1px 4px rgb(0 0 0 / 18%); }
.awm-card.awm-chosen { outline: 3px solid #009e73; }
.awm-facts { line-height: 1.45; font-size: 13px; }
.awm-facts h3 { margin: 8px 12px 2px; font-size: 17px; line-height: 1.25; }
.awm-facts p { margin: 0 12px 6px; color: var(--jp-ui-font-color2, #555); min-height: 2.6em; line-height: 1.3;
  }
.awm-list { display: grid; grid-template-columns: max-content 1fr; gap: 1px 14px; margin: 0 12px 6px; }
.awm-list i { color: var(--jp-ui-font-color2, #555); font-style: normal; }
.awm-list span { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.awm-card .awm-list span { text-align: right; }
.awm-facts svg { display: block; width: 100%; height: 64px; }
.awm-facts code { font-size: 12px; background: none; color: inherit; padding: 0; }
.awm-facts table { border-collapse: collapse; margin: 4px 0; font-variant-numeric: tabular-nums; }
.awm-facts th, .awm-facts td { padding: 3px 14px 3px 0; text-align: left; }
.awm-facts table, .awm-facts > a, .awm-facts > b { margin-left: 12px; }
.awm-facts .awm-big { font-size: 26px; font-weight: 700; margin: 6px 12px 2px; color: inherit; min-height: 0;
  }
</style>"""


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values as a list, escaped."""
    cells = "".join(f"<i>{html.escape(name)}</i><span>{html.escape(value)}</span>" for name, value in rows)
    return f"<div class='awm-list'>{cells}</div>"


def code(text: str) -> str:
    """A key, a hash or an address, escaped."""
    return f"<code>{html.escape(text)}</code>"


def emblem(digest: str) -> str:
    """A picture that tells one world from another: stripes drawn from its hash.

    Parameters
    ----------
    digest : str
        At least 32 hex digits.

    Returns
    -------
    str
        SVG.
    """
    data = bytes.fromhex(digest[:32])
    hue = data[0] * 360 // 256
    sky = f"hsl({hue} 45% 24%)"
    hills = []
    for layer in range(3):
        heights = [64 - 12 - data[1 + 5 * layer + i] % 34 + 8 * layer for i in range(5)]
        points = " ".join(f"{80 * i},{height}" for i, height in enumerate(heights))
        color = f"hsl({(hue + 28 * (layer + 1)) % 360} 62% {38 + 11 * layer}%)"
        hills.append(f'<polygon points="0,64 {points} 320,64" fill="{color}" opacity=".85"/>')
    return (
        '<svg viewBox="0 0 320 64" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="320" height="64" fill="{sky}"/>{"".join(hills)}</svg>'
    )
