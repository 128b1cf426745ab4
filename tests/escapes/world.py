"""A world worth escaping into; this file makes homes with secrets, listeners, prey and traps for one attempt."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ATTEMPTS = Path(__file__).parent / "attempts"


@dataclass
class World:
    """One attempt's surroundings; ``targets`` is all that an attacker could know of them."""

    folder: Path
    secret: str = field(default_factory=lambda: f"secret-{secrets.token_hex(8)}")
    tag: str = field(default_factory=lambda: f"tag-{secrets.token_hex(8)}")
    targets: dict[str, Any] = field(default_factory=dict)
    closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    datagrams: socket.socket = field(init=False)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def run(self) -> Path:
        return self.folder / "project" / "runs" / "this"

    def __enter__(self) -> World:
        self._make_files()
        self._make_listeners()
        self._make_prey()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.close()

    def _make_files(self) -> None:
        self.closing.callback(shutil.rmtree, self.folder, ignore_errors=True)
        temporary = Path(tempfile.gettempdir())
        for path in (
            self.home / ".ssh/id_ed25519",
            self.home / ".kaggle/kaggle.json",
            self.home / ".local/share/autokaggle/vault",
            self.home / ".bashrc",
            self.folder / "project/.env",
            self.folder / "project/conftest.py",
            self.run.with_name("other") / "submission.csv",
            temporary / f"{self.tag}-secret",
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.secret)
        self.closing.callback((temporary / f"{self.tag}-secret").unlink, missing_ok=True)
        self.closing.callback((temporary / f"{self.tag}-mark").unlink, missing_ok=True)
        self.closing.callback(Path("/dev/shm", self.tag).unlink, missing_ok=True)
        for name in ("input", "output", "work"):
            (self.run / name).mkdir(parents=True)
        (self.run / "input" / "train.csv").write_text("a,b\n1,2\n")
        (self.run / "input" / "link").symlink_to(self.home / ".ssh/id_ed25519")
        package = self.run / "code" / "tests" / "escapes" / "attempts"
        shutil.copytree(ATTEMPTS, package, ignore=shutil.ignore_patterns("__pycache__"))
        self.targets |= {
            "home": str(self.home),
            "project": str(self.folder / "project"),
            "other_run": str(self.run.with_name("other")),
            "secret": self.secret,
            "argument_secret": f"{self.tag}-argument",
            "tag": self.tag,
            "temporary_secret": str(temporary / f"{self.tag}-secret"),
            "temporary_mark": str(temporary / f"{self.tag}-mark"),
            "pickle_mark": str(self.home / "unpickled"),
            "memory_key": int(secrets.token_hex(3), 16),
            "program": os.getpid(),
            "step": 1,
        }

    def _make_listeners(self) -> None:
        tcp4 = self._serve(socket.AF_INET, ("127.0.0.1", 0))
        tcp6 = self._serve(socket.AF_INET6, ("::1", 0)) if socket.has_ipv6 else tcp4
        self._serve(socket.AF_UNIX, str(self.home / "docker.sock"))
        self._serve(socket.AF_UNIX, "\0" + self.tag)
        self.datagrams = self.closing.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.datagrams.bind(("127.0.0.1", 0))
        self.datagrams.setblocking(False)
        with socket.create_server(("127.0.0.1", 0)) as free:
            free_port = free.getsockname()[1]
        names = [name for _, name in socket.if_nameindex() if name != "lo"]
        self.targets |= {
            "tcp4": tcp4.getsockname()[1],
            "tcp6": tcp6.getsockname()[1],
            "udp": self.datagrams.getsockname()[1],
            "unix": str(self.home / "docker.sock"),
            "free_port": free_port,
            "is_lonely": not names,
        }

    def _serve(self, family: int, address: Any) -> socket.socket:
        """Greet whoever connects."""
        server = socket.socket(family, socket.SOCK_STREAM)
        server.bind(address)
        server.listen()
        self.closing.callback(server.close)
        self.closing.callback(_shut, server)

        def greet() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with server.accept()[0] as client:
                        client.sendall(b"welcome")

        threading.Thread(target=greet, daemon=True).start()
        return server

    def _make_prey(self) -> None:
        """Start a process of the same user with a secret in its environment and another in its arguments."""
        line = [sys.executable, "-c", "import time; time.sleep(120)", f"{self.tag}-argument"]
        prey = subprocess.Popen(line, env={"PREY": self.secret}, cwd=self.home, start_new_session=True)
        self.closing.callback(prey.wait)
        self.closing.callback(prey.kill)
        self.targets["prey"] = prey.pid

    def kill_leftovers(self) -> None:
        """Kill what an unsandboxed attempt left running; all of it carries this world's tag."""
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if int(folder.name) not in (os.getpid(), self.targets["prey"]):
                    arguments = (folder / "cmdline").read_bytes()
                    if str(self.run).encode() in arguments:
                        os.kill(int(folder.name), signal.SIGKILL)


def _shut(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)


def make_world() -> World:
    return World(Path(tempfile.mkdtemp(prefix="autokaggle-escape-")))
