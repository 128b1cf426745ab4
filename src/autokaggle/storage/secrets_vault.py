"""Secrets that a person chose to keep; this file stores them encrypted, in one file that only the user can read.

The key lies in the system's keyring where one answers without asking, else in a key file beside the vault. A key file
protects a vault that is copied or backed up alone; it does not protect against a person who reads the whole home.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from autokaggle.errors import ActionNeeded
from autokaggle.storage.records_file import PRIVATE_FILE, make_private_folder, write_atomically

SERVICE = "autokaggle"
KEY_NAME = "vault"
# These answer at once or not at all; every other backend may ask for a password on a terminal that is not there.
SILENT_BACKENDS = ("keyring.backends.SecretService", "keyring.backends.macOS", "keyring.backends.Windows")


class SecretsVault:
    """Named secrets under ``home/vault``; nothing is made on disk before the first ``put``."""

    def __init__(self, home: Path, *, use_keyring: bool = True) -> None:
        self.folder = home / "vault"
        self._use_keyring = use_keyring

    @property
    def file(self) -> Path:
        return self.folder / "secrets.fernet"

    @property
    def key_file(self) -> Path:
        return self.folder / "key"

    def get(self, name: str) -> str | None:
        """Return the secret kept as ``name``, None when there is none.

        Raises:
            ActionNeeded: the vault cannot be opened with the key that is there.
        """
        return self._read().get(name)

    def put(self, name: str, secret: str) -> None:
        """Keep ``secret`` as ``name``, in place of what was there."""
        self._write({**self._read(), name: secret})

    def remove(self, name: str) -> bool:
        """Forget ``name``; say whether it was there."""
        content = self._read()
        if name not in content:
            return False
        del content[name]
        self._write(content)
        return True

    def names(self) -> tuple[str, ...]:
        """Return the names of what is kept, in order, never the values."""
        return tuple(sorted(self._read()))

    def _read(self) -> dict[str, str]:
        if not self.file.is_file():
            return {}
        from cryptography.fernet import Fernet, InvalidToken

        try:
            key = self._key(make=False)
            content = json.loads(Fernet(key).decrypt(self.file.read_bytes()))
        except (InvalidToken, ValueError, OSError) as error:
            raise ActionNeeded(
                f"The vault {self.file} cannot be opened: its key is missing or does not fit.",
                f"Remove {self.file} and give the secrets again with `autokaggle auth login`.",
            ) from error
        return {str(name): str(secret) for name, secret in content.items()}

    def _write(self, content: dict[str, str]) -> None:
        from cryptography.fernet import Fernet

        make_private_folder(self.folder)
        token = Fernet(self._key(make=True)).encrypt(json.dumps(content).encode())
        write_atomically(self.file, token)

    def _key(self, *, make: bool) -> bytes:
        """The key file wins: once it exists, the vault was written with it."""
        if self.key_file.is_file():
            return self.key_file.read_bytes().strip()
        keyring_key = self._keyring_key(make=make)
        if keyring_key:
            return keyring_key
        if not make:
            raise FileNotFoundError(self.key_file)
        from cryptography.fernet import Fernet

        key = Fernet.generate_key()
        descriptor = os.open(self.key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(key)
        return key

    def _keyring_key(self, *, make: bool) -> bytes | None:
        if not self._use_keyring:
            return None
        try:
            import keyring
            from keyring.errors import KeyringError
        except ImportError:
            return None
        try:
            backend = keyring.get_keyring()
            if not type(backend).__module__.startswith(SILENT_BACKENDS):
                return None
            found = backend.get_password(SERVICE, KEY_NAME)
            if found is None and make:
                from cryptography.fernet import Fernet

                found = Fernet.generate_key().decode()
                backend.set_password(SERVICE, KEY_NAME, found)
        except (KeyringError, OSError, EOFError, RuntimeError):
            return None
        return found.encode() if found else None
