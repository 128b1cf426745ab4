"""Credentials in every form that Kaggle users have, which of them wins, and that none is ever shown."""

from __future__ import annotations

import base64
import datetime as dt
import json
from pathlib import Path

import pytest

from autokaggle.errors import ActionNeeded
from autokaggle.skills.competition.credentials import (
    VAULT_ENTRY,
    Credentials,
    all_credentials,
    find_credentials,
    read_credentials,
    survey_credentials,
)
from autokaggle.storage.secrets_vault import SecretsVault

KEY = "0123456789abcdef0123456789abcdef"
TOKEN = "KGAT_abcdef0123456789"
BASIC = "Basic " + base64.b64encode(f"tester:{KEY}".encode()).decode()
KAGGLE_JSON = json.dumps({"username": "tester", "key": KEY})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    (folder / ".kaggle").mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("value", "authorization"),
    [
        (TOKEN, f"Bearer {TOKEN}"),
        (f"  {TOKEN}\n", f"Bearer {TOKEN}"),
        ("eyJhbGciOiJSUzI1NiJ9." + "x" * 600 + ".sig", "Bearer eyJhbGciOiJSUzI1NiJ9." + "x" * 600 + ".sig"),
        (KEY, f"Bearer {KEY}"),
        (f"tester:{KEY}", BASIC),
        (KAGGLE_JSON, BASIC),
        (json.dumps({"username": "tester", "key": KEY, "other": 1}, indent=2), BASIC),
        (f"tester:{TOKEN}", f"Bearer {TOKEN}"),
        (json.dumps({"username": "tester", "key": TOKEN}), f"Bearer {TOKEN}"),
        (f"{TOKEN}:x", f"Bearer {TOKEN}:x"),
    ],
)
def test_every_form_of_kaggle_api_token(home: Path, value: str, authorization: str) -> None:
    found = find_credentials({"KAGGLE_API_TOKEN": value}, home)
    assert found.authorization == authorization
    assert found.source == "KAGGLE_API_TOKEN"


@pytest.mark.parametrize(("content", "authorization"), [(TOKEN + "\n", f"Bearer {TOKEN}"), (KAGGLE_JSON, BASIC)])
def test_kaggle_api_token_may_be_a_path(home: Path, content: str, authorization: str) -> None:
    (home / "token").write_text(content)
    for value in (str(home / "token"), "~/token"):
        found = find_credentials({"KAGGLE_API_TOKEN": value}, home)
        assert found.authorization == authorization
        assert found.source == f"KAGGLE_API_TOKEN (file {home / 'token'})"


@pytest.mark.parametrize(
    ("name", "source"), [("access_token", "~/.kaggle/access_token"), ("access_token.txt", "~/.kaggle/access_token.txt")]
)
def test_access_token_files(home: Path, name: str, source: str) -> None:
    (home / ".kaggle" / name).write_text(f"\ufeff{TOKEN}\r\n", "utf-8")
    found = find_credentials({}, home)
    assert (found.authorization, found.source) == (f"Bearer {TOKEN}", source)


def test_kaggle_json_in_each_of_its_places(home: Path) -> None:
    (home / ".kaggle" / "kaggle.json").write_text(KAGGLE_JSON)
    assert find_credentials({}, home).source == "~/.kaggle/kaggle.json"
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kaggle.json").write_text(json.dumps({"username": "other", "key": KEY}))
    found = find_credentials({"KAGGLE_CONFIG_DIR": str(elsewhere)}, home)
    assert (found.username, found.form) == ("other", "legacy key")
    (home / ".kaggle" / "kaggle.json").unlink()
    (home / ".kaggle").rmdir()
    (home / ".config" / "kaggle").mkdir(parents=True)
    (home / ".config" / "kaggle" / "kaggle.json").write_text(KAGGLE_JSON)
    assert find_credentials({}, home).source == "~/.config/kaggle/kaggle.json"
    found = find_credentials({"XDG_CONFIG_HOME": str(home / ".config")}, home)
    assert found.authorization == BASIC


def test_user_and_key_variables(home: Path) -> None:
    found = find_credentials({"KAGGLE_USERNAME": "tester", "KAGGLE_KEY": KEY}, home)
    assert (found.authorization, found.source) == (BASIC, "KAGGLE_USERNAME and KAGGLE_KEY")
    found = find_credentials({"KAGGLE_USERNAME": "tester", "KAGGLE_KEY": TOKEN}, home)
    assert found.authorization == f"Bearer {TOKEN}"


def test_one_variable_completes_kaggle_json(home: Path) -> None:
    (home / ".kaggle" / "kaggle.json").write_text(json.dumps({"username": "old", "key": KEY}))
    assert find_credentials({"KAGGLE_USERNAME": "tester"}, home).authorization == BASIC


def test_one_variable_alone_is_refused(home: Path) -> None:
    with pytest.raises(ActionNeeded, match="KAGGLE_USERNAME is set, but KAGGLE_KEY is not"):
        find_credentials({"KAGGLE_USERNAME": "tester"}, home)
    with pytest.raises(ActionNeeded, match="KAGGLE_KEY is set, but KAGGLE_USERNAME is not"):
        find_credentials({"KAGGLE_KEY": KEY}, home)


def test_the_order_in_which_sources_win(home: Path, tmp_path: Path) -> None:
    vault = SecretsVault(tmp_path / "autokaggle", use_keyring=False)
    vault.put("kaggle", "KGAT_vault")
    (home / ".kaggle" / "access_token").write_text("KGAT_file")
    (home / ".kaggle" / "kaggle.json").write_text(KAGGLE_JSON)
    (home / ".kaggle" / "credentials.json").write_text(json.dumps({"refresh_token": "r", "access_token": "a"}))
    environment = {"KAGGLE_API_TOKEN": TOKEN, "KAGGLE_USERNAME": "tester", "KAGGLE_KEY": KEY}
    assert [found.source for found in all_credentials(environment, home, vault)] == [
        "KAGGLE_API_TOKEN",
        "KAGGLE_USERNAME and KAGGLE_KEY",
        "~/.kaggle/access_token",
        "~/.kaggle/kaggle.json",
        "~/.kaggle/credentials.json",
        "vault",
    ]
    assert find_credentials({}, tmp_path / "nobody", vault).authorization == "Bearer KGAT_vault"


def test_an_oauth_sign_in_knows_when_to_renew(home: Path) -> None:
    now = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    path = home / ".kaggle" / "credentials.json"

    def signed_in(expiration: str, token: str = "access") -> Credentials:
        content = {"refresh_token": "refresh", "access_token": token, "access_token_expiration": expiration}
        path.write_text(json.dumps({**content, "username": "tester", "scopes": []}))
        return find_credentials({}, home)

    found = signed_in("2026-01-01T13:00:00+00:00")
    assert (found.form, found.username, found.authorization) == ("oauth", "tester", "Bearer access")
    assert not found.must_renew(now)
    assert not signed_in("2026-01-01T14:00:00+01:00").must_renew(now)
    assert signed_in("2026-01-01T12:04:00+00:00").must_renew(now)
    assert signed_in("2026-01-01T11:59:00").must_renew(now)
    assert signed_in("").must_renew(now)
    assert signed_in("nonsense").must_renew(now)
    assert signed_in("2026-01-01T13:00:00+00:00", token="").must_renew(now)
    assert not find_credentials({"KAGGLE_API_TOKEN": TOKEN}, home).must_renew(now)


def test_an_oauth_file_without_a_refresh_token_does_not_count(home: Path) -> None:
    (home / ".kaggle" / "credentials.json").write_text(json.dumps({"access_token": "a"}))
    with pytest.raises(ActionNeeded, match="No Kaggle credentials"):
        find_credentials({}, home)


def test_no_credentials_says_how_to_get_them(home: Path) -> None:
    with pytest.raises(ActionNeeded) as raised:
        find_credentials({"KAGGLE_API_TOKEN": " "}, home)
    assert "https://www.kaggle.com/settings/api" in raised.value.next_step
    assert "KAGGLE_API_TOKEN" in raised.value.next_step
    assert raised.value.exit_code == 3


@pytest.mark.parametrize(
    "value",
    [
        '{"username": "tester", "key": "hush-hush"',
        '{"username": "tester"}',
        '{"key": "hush-hush"}',
        '{"username": "", "key": "hush-hush"}',
        '{"username": 7, "key": "hush-hush"}',
        "hush-hush\nSet-Cookie: x",
        "hush-hush with blanks",
        "tester:",
        "tester:hush-hush\u0001",
        "hush-hush-\u00e9",
        "/missing/hush-hush",
    ],
)
def test_malformed_credentials_are_refused_without_being_shown(home: Path, value: str) -> None:
    with pytest.raises(ActionNeeded, match="KAGGLE_API_TOKEN") as raised:
        find_credentials({"KAGGLE_API_TOKEN": value}, home)
    shown = str(raised.value) + repr(raised.value) + str(raised.value.__cause__)
    assert "hush-hush" not in shown or value.startswith("/missing")


def test_a_broken_file_is_named(home: Path) -> None:
    (home / ".kaggle" / "kaggle.json").write_text("{not json")
    with pytest.raises(ActionNeeded, match=r"~/.kaggle/kaggle.json"):
        find_credentials({}, home)
    (home / ".kaggle" / "kaggle.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ActionNeeded, match=r"kaggle.json"):
        find_credentials({}, home)


def test_a_sound_source_is_not_spoilt_by_a_broken_one_behind_it(home: Path) -> None:
    (home / ".kaggle" / "kaggle.json").write_text("{not json")
    assert find_credentials({"KAGGLE_API_TOKEN": TOKEN}, home).secret == TOKEN


def test_secrets_stay_out_of_reprs_and_are_listed_for_redaction() -> None:
    found = Credentials("here", "legacy key", KEY, "tester", refresh_token="refresh-me")
    assert KEY not in repr(found) and "refresh-me" not in repr(found)
    assert set(found.secrets) == {KEY, "refresh-me", BASIC.removeprefix("Basic ")}


def test_a_survey_names_every_place_also_the_broken_ones(home: Path) -> None:
    (home / ".kaggle" / "kaggle.json").write_text("{not json")
    (home / ".kaggle" / "access_token").write_text(TOKEN)
    places = survey_credentials({"KAGGLE_API_TOKEN": "two words", "KAGGLE_USERNAME": "me"}, home)
    assert [(place.name, place.credentials is not None) for place in places] == [
        ("KAGGLE_API_TOKEN", False),
        ("KAGGLE_USERNAME and KAGGLE_KEY", False),
        ("~/.kaggle/access_token", True),
        ("kaggle.json", False),
    ]
    assert all(bool(place.problem) is (place.credentials is None) for place in places)
    assert TOKEN not in repr(places) and "two words" not in repr(places)
    assert survey_credentials({}, home / "nobody") == ()


@pytest.mark.parametrize("text", [TOKEN, f"tester:{KEY}", KAGGLE_JSON])
def test_what_is_pasted_can_be_kept_in_the_vault_as_it_is(text: str, tmp_path: Path) -> None:
    vault = SecretsVault(tmp_path, use_keyring=False)
    pasted = read_credentials(f" {text}\n", "vault")
    vault.put(VAULT_ENTRY, text)
    assert find_credentials({}, tmp_path / "nobody", vault) == pasted


def test_what_is_pasted_must_be_credentials() -> None:
    with pytest.raises(ActionNeeded, match="in the paste are malformed"):
        read_credentials("two words", "the paste")
