"""Text from outside; this file quotes it so that a model can tell it from what this program says.

A fence is no proof against a model that obeys what it reads. What a model says changes nothing by itself: that is the
defence, and the fence makes it needed less often.
"""

from __future__ import annotations

import re
import secrets
import unicodedata

# Characters that show nothing and may hide text, or turn its direction; line breaks and tabs stay.
INVISIBLE_CATEGORIES = ("Cc", "Cf", "Co", "Cs", "Cn")
BACKTICKS = re.compile(r"`{3,}")
TAG = re.compile(r"<(?=/?(?:data|person)-)", re.IGNORECASE)


def new_nonce() -> str:
    """Return 8 hexadecimal digits that no text from outside can foresee."""
    return secrets.token_hex(4)


def fence(text: str, nonce: str, kind: str, source: str = "", tag: str = "data") -> str:
    """Quote ``text`` as data of this kind, or with the tag ``person``; ``source`` says where it came from."""
    origin = f' source="{_attribute(source)}"' if source else ""
    inside = harmless(text).replace(nonce, "")
    return f'<{tag}-{nonce} kind="{_attribute(kind)}"{origin}>\n{inside.strip()}\n</{tag}-{nonce}>'


def harmless(text: str) -> str:
    """Drop characters that show nothing, and break up what could be read as the end of a quote."""
    shown = "".join(char for char in text if char in "\n\t" or unicodedata.category(char) not in INVISIBLE_CATEGORIES)
    return TAG.sub("(", BACKTICKS.sub("``", shown))


def _attribute(text: str) -> str:
    return re.sub(r"[^\w .:/-]", "_", text)[:80]
