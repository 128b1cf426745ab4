"""What people paste: every form of a competition's address, and every near miss with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from autokaggle.errors import ActionNeeded, UsageError
from autokaggle.skills.competition.address import Target, parse_target, slug_from


@pytest.mark.parametrize(
    "tail",
    [
        "",
        "/",
        "/overview",
        "/overview/evaluation",
        "/data?select=train.csv",
        "/code",
        "/models",
        "/discussion/123",
        "/leaderboard?tab=public",
        "/rules",
        "/submissions",
        "/team",
        "?a=b&c=..%2F",
        "#fragment",
    ],
)
@pytest.mark.parametrize(
    "head",
    [
        "https://www.kaggle.com/competitions/",
        "http://www.kaggle.com/competitions/",
        "https://kaggle.com/competitions/",
        "www.kaggle.com/competitions/",
        "kaggle.com/c/",
        "https://www.kaggle.com/c/",
        "HTTPS://WWW.KAGGLE.COM/competitions/",
        "https://www.kaggle.com:443/competitions/",
        "//www.kaggle.com/c/",
        "  https://www.kaggle.com//competitions/",
    ],
)
def test_every_form_of_an_address_gives_the_slug(head: str, tail: str) -> None:
    assert parse_target(head + "UBC-OCEAN" + tail) == Target("UBC-OCEAN")


@pytest.mark.parametrize("slug", ["titanic", "UBC-OCEAN", "LANL-Earthquake-Prediction", "a", "3", "a_b", "x" * 200])
def test_a_slug_alone_keeps_its_case(slug: str) -> None:
    assert parse_target(slug) == Target(slug)


@pytest.mark.parametrize("link", ["https://www.kaggle.com/t/0123456789abcdef", "kaggle.com/t/0a"])
def test_an_invitation_link_must_be_opened_first(link: str) -> None:
    with pytest.raises(ActionNeeded, match="invitation") as raised:
        parse_target(link)
    assert "join" in raised.value.next_step and "address that the browser then shows" in raised.value.next_step


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "No competition"),
        ("   ", "No competition"),
        ("https://www.kaggle.com/datasets/someone/something", "/datasets section"),
        ("https://www.kaggle.com/code/someone/notebook", "/code section"),
        ("https://www.kaggle.com/models/x", "/models section"),
        ("https://www.kaggle.com", "start page"),
        ("https://www.kaggle.com/competitions", "not a competition"),
        ("https://www.kaggle.com/competitions/", "not a competition"),
        ("https://www.kaggle.com.evil.com/competitions/titanic", "no address on www.kaggle.com"),
        ("https://evil.com/competitions/titanic", "no address on www.kaggle.com"),
        ("https://user@www.kaggle.com/competitions/titanic", "no address on www.kaggle.com"),
        ("https://www.kaggle.com@evil.com/competitions/titanic", "no address on www.kaggle.com"),
        ("https://www.kaggle.com:8080/competitions/titanic", "no address on www.kaggle.com"),
        ("https://www.kaggle.com:port/competitions/titanic", "no address"),
        ("https://[www.kaggle.com/competitions/titanic", "no address"),
        ("ftp://www.kaggle.com/competitions/titanic", "no address on www.kaggle.com"),
        ("javascript://www.kaggle.com/competitions/titanic", "no address on www.kaggle.com"),
        ("https://www.kaggle.com/competitions/..", "cannot be the name"),
        ("https://www.kaggle.com/competitions/a%2Fb", "cannot be the name"),
        ("https://www.kaggle.com/competitions/titanic/../x", "cannot be the name"),
        ("https://www.kaggle.com/competitions/-titanic", "cannot be the name"),
        ("https://www.kaggle.com/competitions/tita nic", "cannot be the name"),
        ("https://www.kaggle.com/competitions/" + "x" * 201, "cannot be the name"),
        ("titanic; rm -rf /", "names no competition"),
        ("titanic\n", None),
        ("ti\u0442anic", "names no competition"),
        ("--help", "names no competition"),
        ("x" * 5000, "names no competition"),
        ("./missing", "does not exist"),
        ("/missing/folder", "does not exist"),
        ("./" + "x" * 5000, "does not exist"),
        ("~nobody-of-that-name/x", "does not exist"),
        ("/a\0b", "does not exist"),
    ],
)
def test_what_is_no_competition_is_refused_with_a_reason(text: str, reason: str | None) -> None:
    if reason is None:
        assert parse_target(text) == Target(text.strip())
        return
    with pytest.raises(UsageError, match=reason) as raised:
        parse_target(text)
    assert "kaggle.com/competitions/SLUG" in raised.value.next_step
    assert len(raised.value.message) < 250


def test_a_folder_is_known_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "my comp (v2)"
    folder.mkdir()
    assert parse_target(str(folder)) == Target("my-comp-v2", folder)
    monkeypatch.chdir(tmp_path)
    assert parse_target("./my comp (v2)") == Target("my-comp-v2", folder)
    assert parse_target("my comp (v2)") == Target("my-comp-v2", folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_target("~/my comp (v2)") == Target("my-comp-v2", folder)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("a\n1\n")
    with pytest.raises(UsageError, match="is a file"):
        parse_target(str(path))


def test_a_bare_word_means_the_folder_only_where_that_holds_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "titanic").mkdir()
    assert parse_target("titanic") == Target("titanic")
    (tmp_path / "titanic" / "train.csv").write_text("a\n1\n")
    assert parse_target("titanic") == Target("titanic", tmp_path / "titanic")
    assert parse_target("https://www.kaggle.com/competitions/titanic") == Target("titanic")


def test_a_folder_name_with_a_dot_is_no_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "comp.v2" / "data").mkdir(parents=True)
    assert parse_target("comp.v2") == Target("comp-v2", tmp_path / "comp.v2")
    assert parse_target("comp.v2/") == Target("comp-v2", tmp_path / "comp.v2")


@pytest.mark.parametrize(
    ("name", "slug"), [("a b", "a-b"), ("---", "local"), ("", "local"), ("été", "t"), ("x" * 300, "x" * 200)]
)
def test_any_name_gives_a_slug(name: str, slug: str) -> None:
    assert slug_from(name) == slug


@pytest.mark.parametrize("target", ["/", "~", "~/.."])
def test_a_folder_that_holds_the_whole_home_is_refused(target: str) -> None:
    with pytest.raises(UsageError, match="holds your whole home folder"):
        parse_target(target)
