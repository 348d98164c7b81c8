"""A Jupyter server extension that sends kernel messages at once instead of collecting them.

Tornado leaves Nagle's algorithm on. Together with the browser's delayed acknowledgements it holds
small websocket messages back for up to 40 ms, which halves the frame rate of a live canvas. The
package's configuration file enables the extension; nobody needs to call anything here.
"""

from __future__ import annotations

import os
from typing import Any

#: Set in the server, so inherited by the kernels that it starts.
MARK = "AWM_KIT_NODELAY"

NOTE = (
    "The server extension awm_kit.play.nodelay is not active: expect jerky motion. Jupyter servers of the "
    "environment that awm-kit is installed in have it (`jupyter server extension list`), and so has Voilà at "
    "their `/voila/render/NOTEBOOK`; not when it runs by itself."
)


def is_active() -> bool:
    """Whether the server that started this kernel has the extension."""
    return os.environ.get(MARK) == "1"


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "awm_kit.play.nodelay"}]


def _load_jupyter_server_extension(app: Any) -> None:
    from jupyter_server.services.kernels import websocket

    Handler: Any = websocket.KernelWebsocketHandler
    os.environ[MARK] = "1"
    if getattr(Handler, "_awm_kit_nodelay", False):
        return
    plain_open = Handler.open

    async def open(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.set_nodelay(True)
        return await plain_open(self, *args, **kwargs)

    Handler.open = open
    Handler._awm_kit_nodelay = True
    app.log.info("awm_kit.play.nodelay: kernel websockets send without delay")
