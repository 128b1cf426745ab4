"""Python source as a tree; this file parses it for everybody who looks at code, one text at a time."""

from __future__ import annotations

import ast
import threading

_parsing = threading.Lock()


def parse_python(text: str, name: str = "<code>") -> ast.Module:
    """Return the tree of ``text``; ``name`` is the file that errors speak of.

    Raises:
        SyntaxError: it is no Python.
        ValueError: it holds a null character.
    """
    # CPython 3.11 counts the depth of a tree for all threads together: two at once may end in a SystemError.
    with _parsing:
        return ast.parse(text, name)
