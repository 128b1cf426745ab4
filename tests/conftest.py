"""Every test runs in a world of its own; this file moves the home and refuses the outside network."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SECRET_PREFIXES = ("KAGGLE_", "AUTOKAGGLE_", "GOOGLE_", "GEMINI_", "OPENAI_", "ANTHROPIC_", "OLLAMA_")
LOOPBACK = {"127.0.0.1", "::1", "localhost", "0.0.0.0", "::", ""}


@pytest.fixture(autouse=True)
def isolated_world(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the test an empty home and no credentials, and refuse connections beyond loopback."""
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith(SECRET_PREFIXES)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    connect = socket.socket.connect

    def loopback_only(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
            raise AssertionError(f"a test tried to reach {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", loopback_only)
    yield home


@pytest.fixture
def shared_folder() -> Path:
    """Return the folder of measuring material that stands beside a checkout; skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "cases").is_dir():
        pytest.skip("the measuring cases do not stand beside this checkout")
    return folder
