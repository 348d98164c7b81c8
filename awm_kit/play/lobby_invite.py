"""Invitations: a match's ID and where it is played, as text, as a link and as a QR code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import anywidget
import qrcode
import traitlets
from solders.pubkey import Pubkey

from awm_kit.chain.embedded import EmbeddedLedger

#: Begins the part of a link that a page does not send to its server.
MARK = "awm="
_INVITATION = re.compile(r"(?:^|[#&:=])([1-9A-HJ-NP-Za-km-z]{32,44})(?:@([^\s&#]+))?$")
_OWN_MACHINE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Invitation:
    """Which match, and where.

    Parameters
    ----------
    session : Pubkey
        The match's ID: its SessionState account.
    place : str
        As `awm_kit.play.places.open_place` takes it; empty for one that only the inviting process can reach.
    """

    session: Pubkey
    place: str = ""

    @classmethod
    def to(cls, session: Pubkey, place: str) -> Invitation:
        """An invitation to a match at the place with this name."""
        return cls(session, "" if place == EmbeddedLedger.name else place)

    @classmethod
    def parse(cls, text: str) -> Invitation:
        """Read a match's ID, an invitation's text, or a link with one.

        Raises
        ------
        ValueError
            It is none of them.
        """
        found = _INVITATION.search(text.strip())
        if found is None:
            raise ValueError(f"expected a match's ID or an invitation to one (got {text!r})")
        return cls(Pubkey.from_string(found[1]), unquote(found[2] or ""))

    @property
    def text(self) -> str:
        """To be sent by mail or read out: the ID, and the place where it has a URL."""
        return f"{self.session}@{quote(self.place, safe=':/,')}" if self.place else str(self.session)

    def link(self, page: str = "") -> str:
        """The same as a link that opens ``page``, a notebook or a Voilà page with a lobby."""
        return f"{page}#{MARK}{self.text}" if page else f"awm:{self.text}"

    @property
    def stays_here(self) -> bool:
        """Whether the place is of no use to other machines."""
        hosts = [urlsplit(url).hostname for url in self.place.split(",")]
        return not self.place or any(host in _OWN_MACHINE for host in hosts)


def qr_svg(text: str) -> str:
    """A text as a QR code: SVG, black on white, four modules of margin as the standard wants."""
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_L, border=4)
    code.add_data(text)
    matrix = code.get_matrix()
    size = len(matrix)
    path = "".join(f"M{x},{y}h1v1h-1z" for y, row in enumerate(matrix) for x, dark in enumerate(row) if dark)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" shape-rendering="crispEdges">'
        f'<rect width="{size}" height="{size}" fill="#fff"/><path d="{path}"/></svg>'
    )


class InviteCard(anywidget.AnyWidget):
    """Shows an invitation, with buttons that copy it; reports the page it is on and how it was opened.

    Attributes
    ----------
    page : str
        URL of the page, without query and fragment; empty until a page shows the widget.
    arrived : str
        The invitation in the link by which somebody came to the page, if any.
    """

    _esm = Path(__file__).with_name("lobby_invite.js")
    _css = """
    .awm-invite { display: flex; gap: 14px; align-items: flex-start; font-size: 13px; }
    .awm-invite-qr svg { width: 164px; height: 164px; border-radius: 6px; display: block; }
    .awm-invite-text { min-width: 0; flex: 1; }
    .awm-invite-text label { display: block; color: var(--jp-ui-font-color2, #555); margin-top: 4px; }
    .awm-invite-row { display: flex; gap: 6px; align-items: center; }
    .awm-invite-row code { overflow-wrap: anywhere; background: none; color: inherit; font-size: 12px; }
    .awm-invite-row button { cursor: pointer; flex: none; border: 0; padding: 3px 10px; border-radius: 3px;
      background: var(--jp-layout-color2, #eee); color: var(--jp-ui-font-color1, #111); font-size: 12px; }
    .awm-invite-row button:hover { background: var(--jp-layout-color3, #ddd); }
    .awm-invite-note { color: var(--jp-ui-font-color2, #555); margin-top: 6px; }
    """

    identity = traitlets.Unicode().tag(sync=True)
    link = traitlets.Unicode().tag(sync=True)
    qr = traitlets.Unicode().tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    page = traitlets.Unicode().tag(sync=True)
    arrived = traitlets.Unicode().tag(sync=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._invitation: Invitation | None = None
        self.observe(lambda _: self._draw(), "page")

    def __repr__(self) -> str:
        return f"<InviteCard {self._invitation.text if self._invitation else 'without an invitation'}>"

    def show(self, invitation: Invitation | None) -> None:
        """Show an invitation, or nothing."""
        self._invitation = invitation
        self._draw()

    def _draw(self) -> None:
        invitation = self._invitation
        with self.hold_sync():
            if invitation is None:
                self.identity = self.link = self.qr = self.note = ""
                return
            self.identity, self.link = str(invitation.session), invitation.link(self.page)
            self.qr = qr_svg(self.link)
            self.note = _reach(invitation)


def _reach(invitation: Invitation) -> str:
    if not invitation.place:
        return "This match is played inside this kernel: another widget in it can join, nobody else."
    if invitation.stays_here:
        return "This place answers on this machine only; other machines need a URL that they can reach."
    return "Whoever has the link can join from any machine, with a wallet of their own."
