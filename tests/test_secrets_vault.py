"""The vault keeps secrets where only the user can read them, with a keyring where one answers and without."""

from __future__ import annotations

import os
import stat
import sys
import types
from pathlib import Path

import pytest

from autokaggle.errors import ActionNeeded
from autokaggle.storage.secrets_vault import SecretsVault

SECRET = "KGAT_do-not-find-me"


class FakeKeyring:
    """A keyring that keeps passwords in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, name: str) -> str | None:
        return self.kept.get((service, name))

    def set_password(self, service: str, name: str, password: str) -> None:
        self.kept[service, name] = password


class AskingKeyring(FakeKeyring):
    """A keyring that would ask for a password on a terminal; here nobody answers."""

    def get_password(self, service: str, name: str) -> str | None:
        raise EOFError


def install(monkeypatch: pytest.MonkeyPatch, backend: FakeKeyring, module: str) -> None:
    """Make ``import keyring`` give ``backend``, as if it came from ``module``."""
    type(backend).__module__ = module
    keyring, errors = types.ModuleType("keyring"), types.ModuleType("keyring.errors")
    keyring.get_keyring = lambda: backend  # type: ignore[attr-defined]
    errors.KeyringError = type("KeyringError", (Exception,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)


def test_what_is_put_can_be_had_again(tmp_path: Path) -> None:
    vault = SecretsVault(tmp_path, use_keyring=False)
    assert vault.get("kaggle") is None and vault.names() == ()
    vault.put("kaggle", SECRET)
    vault.put("google", "ключ")
    vault.put("google", "other")
    again = SecretsVault(tmp_path, use_keyring=False)
    assert (again.get("kaggle"), again.get("google"), again.names()) == (SECRET, "other", ("google", "kaggle"))
    assert again.remove("kaggle") and not again.remove("kaggle")
    assert vault.get("kaggle") is None


def test_looking_makes_nothing_on_disk(tmp_path: Path) -> None:
    SecretsVault(tmp_path / "home").get("kaggle")
    assert list(tmp_path.iterdir()) == []


def test_only_the_user_can_read_it_and_the_secret_is_not_in_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        SecretsVault(tmp_path / "home", use_keyring=False).put("kaggle", SECRET)
    finally:
        os.umask(before)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"secrets.fernet", "key"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    assert stat.S_IMODE((tmp_path / "home" / "vault").stat().st_mode) == 0o700
    assert all(SECRET.encode() not in path.read_bytes() for path in files)


@pytest.mark.parametrize("damage", ["no key", "other key", "no key at all", "torn", "emptied"])
def test_a_vault_that_cannot_be_opened_says_what_to_do(tmp_path: Path, damage: str) -> None:
    vault = SecretsVault(tmp_path, use_keyring=False)
    vault.put("kaggle", SECRET)
    if damage == "no key":
        vault.key_file.unlink()
    elif damage == "other key":
        vault.key_file.write_bytes(b"A" * 43 + b"=")
    elif damage == "no key at all":
        vault.key_file.write_bytes(b"")
    else:
        vault.file.write_bytes(vault.file.read_bytes()[:20] if damage == "torn" else b"")
    with pytest.raises(ActionNeeded, match="cannot be opened") as raised:
        vault.get("kaggle")
    assert "autokaggle auth login" in raised.value.next_step
    assert SECRET not in str(raised.value)


def test_a_keyring_that_answers_holds_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = FakeKeyring()
    install(monkeypatch, backend, "keyring.backends.SecretService")
    SecretsVault(tmp_path).put("kaggle", SECRET)
    assert SecretsVault(tmp_path).get("kaggle") == SECRET
    assert not SecretsVault(tmp_path).key_file.exists()
    backend.kept.clear()
    with pytest.raises(ActionNeeded, match="cannot be opened"):
        SecretsVault(tmp_path).get("kaggle")


@pytest.mark.parametrize(
    ("backend", "module"),
    [(AskingKeyring(), "keyring.backends.SecretService"), (FakeKeyring(), "keyrings.alt.file")],
)
def test_a_keyring_that_may_ask_is_not_used(
    backend: FakeKeyring, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, backend, module)
    SecretsVault(tmp_path).put("kaggle", SECRET)
    assert SecretsVault(tmp_path).get("kaggle") == SECRET
    assert SecretsVault(tmp_path).key_file.is_file() and backend.kept == {}


def test_a_vault_made_without_a_keyring_stays_readable_when_one_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SecretsVault(tmp_path, use_keyring=False).put("kaggle", SECRET)
    install(monkeypatch, FakeKeyring(), "keyring.backends.macOS")
    assert SecretsVault(tmp_path).get("kaggle") == SECRET
