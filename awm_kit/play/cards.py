"""The look of the arcade's cards: plain HTML that follows JupyterLab's and Voilà's theme."""

from __future__ import annotations

import html
from collections.abc import Iterable

from awm_kit.play.palette import LIVERIES

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
.awm-facts > svg { display: block; width: 100%; height: 104px; }
.awm-facts code { font-size: 12px; background: none; color: inherit; padding: 0; }
.awm-facts table { border-collapse: collapse; margin: 4px 0; font-variant-numeric: tabular-nums; }
.awm-facts th, .awm-facts td { padding: 3px 14px 3px 0; text-align: left; }
.awm-facts table, .awm-facts > a, .awm-facts > b { margin-left: 12px; }
.awm-faces { display: flex; gap: 10px; flex-wrap: wrap; margin: 8px 12px; }
.awm-face { display: flex; gap: 12px; align-items: center; flex: 0 1 300px; padding: 6px 14px 6px 6px;
  border-radius: 10px; border-left: 6px solid var(--awm-main); background: #1b1e34; color: #f4eede; }
.awm-face.awm-lost { filter: saturate(0.35) brightness(0.8); }
.awm-face svg { width: 72px; height: 72px; flex: none; border-radius: 8px; background: #2b2f52; }
.awm-face div { line-height: 1.35; min-width: 0; }
.awm-face b { display: block; font-size: 16px; color: var(--awm-light); }
.awm-face .awm-damage { font-size: 26px; font-weight: 800; font-variant-numeric: tabular-nums; }
.awm-face .awm-lives { letter-spacing: 2px; color: var(--awm-main); }
.awm-head { display: flex; gap: 12px; align-items: baseline; padding: 8px 14px; border-radius: 8px;
  background: linear-gradient(90deg, #1b1e34, #60548c); color: #f4eede; }
.awm-head b { font-size: 18px; letter-spacing: 3px; color: #f0e442; }
.awm-head code { color: inherit; background: none; font-size: 12px; overflow-wrap: anywhere; }
.awm-facts .awm-big { font-size: 26px; font-weight: 700; margin: 6px 12px 2px; color: inherit; min-height: 0;
  }
</style>"""


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values as a list, escaped."""
    cells = "".join(f"<i>{html.escape(name)}</i><span>{html.escape(value)}</span>" for name, value in rows)
    return f"<div class='awm-list'>{cells}</div>"


def face(picture: str, player: int, body: str, lost: bool = False) -> str:
    """A player's panel in their colours: a portrait (SVG) and what stands beside it (HTML)."""
    main, light = (f"#{bytes(color).hex()}" for color in (LIVERIES[player].accent, LIVERIES[player].light))
    kind = "awm-face awm-lost" if lost else "awm-face"
    style = f"--awm-main:{main};--awm-light:{light}"
    return f"<div class='{kind}' style='{style}'>{picture}<div>{body}</div></div>"


def code(text: str) -> str:
    """A key, a hash or an address, escaped."""
    return f"<code>{html.escape(text)}</code>"
