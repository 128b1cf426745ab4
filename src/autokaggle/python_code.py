"""Python source as a tree; this file parses it for everybody who looks at code, undisturbed by other threads."""

from __future__ import annotations

import ast
import gc
import threading

_parsing = threading.Lock()


def parse_python(text: str, name: str = "<code>") -> ast.Module:
    """Return the tree of ``text``; ``name`` is the file that errors speak of.

    Raises:
        SyntaxError: it is no Python.
        ValueError: it holds a null character.
    """
    # CPython 3.11 counts the depth of a tree for all threads together: when a collection of garbage lets another thread
    # parse something in the middle of it, this ends in a SystemError.
    with _parsing:
        collects = gc.isenabled()
        gc.disable()
        try:
            return ast.parse(text, name)
        finally:
            if collects:
                gc.enable()
