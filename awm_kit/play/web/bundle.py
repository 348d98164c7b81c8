"""Several scripts as one, for places that cannot import: a page opened from a file, a widget's module."""

from __future__ import annotations

import re
from collections.abc import Sequence

from awm_kit.play.web.build import WEB

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?:function|class|const) (\w+)", re.MULTILINE)


def bundle(names: Sequence[str]) -> str:
    """The scripts of this folder by name, each in a scope of its own, as the constant ``<name>_js``.

    Raises
    ------
    ValueError
        If a script imports from one that does not stand before it.
    """
    blocks = []
    for index, name in enumerate(names):
        text = (WEB / f"{name}.js").read_text(encoding="utf-8")
        if late := {source for _, source in _IMPORT.findall(text)} - set(names[:index]):
            raise ValueError(f"{name}.js imports {sorted(late)}, expected only {names[:index]}")
        exported = ", ".join(re.findall(_EXPORT, text))
        body = re.sub(_EXPORT, lambda match: match[0].removeprefix("export "), text)
        body = _IMPORT.sub(r"const {\1} = \2_js;", body)
        blocks.append(f"const {name}_js = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();")
    return "\n\n".join(blocks)
