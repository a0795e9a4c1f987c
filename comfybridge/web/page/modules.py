"""The modules that a script of the page needs, so that a browser can load them all at once."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

# `import ... from "./x.js"`, `import "./x.js"` and `export ... from "./x.js"`, each at the beginning of a line;
# import("./x.js") loads later, on purpose
_STATEMENT = re.compile(
    r"""^(?:import|export)\b[^"';()]*?(?:\bfrom\s*)?["'](\.{1,2}/[^"']+)["']""", re.MULTILINE | re.DOTALL
)


def needed_modules(main: str, sources: Mapping[str, str]) -> list[str]:
    """All modules that one imports, directly or through others; the nearest come first, itself is left out.

    Args:
        main: the path of the module.
        sources: the texts of all modules by their paths.
    """
    found = [main]
    for path in found:
        for target in imported(path, sources.get(path, "")):
            if target in sources and target not in found:
                found.append(target)
    return found[1:]


def imported(path: str, source: str) -> list[str]:
    """The paths of the modules that a module imports itself.

    Args:
        path: its own path, which the others are relative to.
    """
    folder = posixpath.dirname(path)
    return [posixpath.normpath(posixpath.join(folder, target)) for target in _STATEMENT.findall(source)]
