"""Settings: which source wins, where folders lie, and what is said of settings that make no sense."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autokaggle.config import load_settings
from autokaggle.errors import UsageError


@pytest.fixture
def home(isolated_world: Path) -> Path:
    return isolated_world


def write_config(home: Path, text: str) -> Path:
    path = home / ".config" / "autokaggle" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_with_nothing_set_everything_has_a_place(home: Path, tmp_path: Path) -> None:
    settings = load_settings({"HOME": str(home)}, tmp_path)
    assert settings.home == home / ".local/share/autokaggle"
    assert settings.runs_dir == tmp_path / "runs"
    assert settings.state.parent == settings.cache.parent == settings.environments.parent == settings.home
    assert (settings.kaggle_url, settings.model, settings.skip_execution) == (None, None, False)


def test_limits_of_generated_code_can_be_set(home: Path, tmp_path: Path) -> None:
    assert load_settings({"HOME": str(home)}, tmp_path).memory_bytes is None
    write_config(home, 'memory = "1.5G"\ndisk = "200M"\nprocesses = 40\n')
    settings = load_settings({"HOME": str(home), "AUTOKAGGLE_DISK": "300m"}, tmp_path)
    assert (settings.memory_bytes, settings.disk_bytes, settings.processes) == (1536 << 20, 300 << 20, 40)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("MEMORY", value) for value in ("lots", "3", "1025T", "9" * 400)),
        *(("DISK", value) for value in ("-1G", "99999999999T")),
        *(("PROCESSES", value) for value in ("many", "0", "9" * 20, "9" * 5000)),
    ],
)
def test_limits_that_are_none_are_refused(name: str, value: str, home: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"AUTOKAGGLE_{name}"):
        load_settings({"HOME": str(home), f"AUTOKAGGLE_{name}": value}, tmp_path)


def test_flag_beats_environment_beats_dotenv_beats_config(home: Path, tmp_path: Path) -> None:
    write_config(home, 'runs_dir = "from-config"\nmodel = "config"\nkaggle_url = "http://127.0.0.1:1"\n')
    (tmp_path / ".env").write_text("AUTOKAGGLE_RUNS_DIR=from-dotenv\nAUTOKAGGLE_MODEL=dotenv\n")
    environment = {"HOME": str(home), "AUTOKAGGLE_RUNS_DIR": "from-environment"}
    settings = load_settings(environment, tmp_path)
    assert settings.runs_dir == tmp_path / "from-environment"
    assert settings.model == "dotenv"
    assert settings.kaggle_url == "http://127.0.0.1:1"
    assert load_settings(environment, tmp_path, runs_dir=Path("from-flag")).runs_dir == tmp_path / "from-flag"


def test_an_empty_variable_hides_nothing(home: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KAGGLE_API_TOKEN=from-dotenv\nAUTOKAGGLE_MODEL=\n")
    settings = load_settings({"HOME": str(home), "KAGGLE_API_TOKEN": "", "AUTOKAGGLE_RUNS_DIR": ""}, tmp_path)
    assert settings.environment["KAGGLE_API_TOKEN"] == "from-dotenv"
    assert settings.runs_dir == tmp_path / "runs"
    assert settings.model is None


def test_a_secret_of_dotenv_reaches_neither_the_process_nor_the_repr(home: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KAGGLE_API_TOKEN=KGAT_0123_$HOME\n")
    settings = load_settings({"HOME": str(home)}, tmp_path)
    assert settings.environment["KAGGLE_API_TOKEN"] == "KGAT_0123_$HOME"
    assert "KAGGLE_API_TOKEN" not in os.environ
    assert "KGAT" not in repr(settings)


def test_files_written_on_windows_are_read(home: Path, tmp_path: Path) -> None:
    write_config(home, '\ufeffmodel = "gemini"\r\n')
    (tmp_path / ".env").write_text("\ufeffKAGGLE_USERNAME=ann\r\n", encoding="utf-8", newline="")
    settings = load_settings({"HOME": str(home)}, tmp_path)
    assert (settings.model, settings.environment["KAGGLE_USERNAME"]) == ("gemini", "ann")


def test_the_environment_table_gives_variables_of_any_name(home: Path, tmp_path: Path) -> None:
    write_config(home, 'skip_execution = true\n[environment]\nGOOGLE_API_KEY = "key"\nRETRIES = 3\n')
    settings = load_settings({"HOME": str(home)}, tmp_path)
    assert settings.skip_execution
    assert (settings.environment["GOOGLE_API_KEY"], settings.environment["RETRIES"]) == ("key", "3")


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [("~/kaggle", "{home}/kaggle"), ("~", "{home}"), ("/srv/kaggle", "/srv/kaggle"), ("here", "{cwd}/here")],
)
def test_the_home_may_be_written_in_any_way(home: Path, tmp_path: Path, chosen: str, expected: str) -> None:
    settings = load_settings({"HOME": str(home), "AUTOKAGGLE_HOME": chosen}, tmp_path)
    assert settings.home == Path(expected.format(home=home, cwd=Path.cwd()))


def test_xdg_folders_count_when_they_are_absolute(home: Path, tmp_path: Path) -> None:
    (tmp_path / "config" / "autokaggle").mkdir(parents=True)
    (tmp_path / "config" / "autokaggle" / "config.toml").write_text('model = "x"')
    environment = {"HOME": str(home), "XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_DATA_HOME": str(tmp_path)}
    settings = load_settings(environment, tmp_path)
    assert (settings.model, settings.home) == ("x", tmp_path / "autokaggle")
    relative = load_settings({"HOME": str(home), "XDG_DATA_HOME": "data"}, tmp_path)
    assert relative.home == home / ".local/share/autokaggle"


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_a_switch_is_on(home: Path, tmp_path: Path, value: str) -> None:
    assert load_settings({"HOME": str(home), "AUTOKAGGLE_SKIP_EXECUTION": value}, tmp_path).skip_execution


@pytest.mark.parametrize("value", ["0", "False", "no", "off", ""])
def test_a_switch_is_off(home: Path, tmp_path: Path, value: str) -> None:
    assert not load_settings({"HOME": str(home), "AUTOKAGGLE_SKIP_EXECUTION": value}, tmp_path).skip_execution


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTOKAGGLE_SKIP_EXECUTION", "maybe"),
        ("AUTOKAGGLE_KAGGLE_URL", "localhost:8000"),
        ("AUTOKAGGLE_KAGGLE_URL", "file:///etc/passwd"),
        ("AUTOKAGGLE_KAGGLE_URL", "http://"),
        ("AUTOKAGGLE_KAGGLE_URL", "http://[::1"),
        ("AUTOKAGGLE_KAGGLE_URL", "http://127.0.0.1:99999"),
    ],
)
def test_a_setting_without_sense_is_named(home: Path, tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name) as caught:
        load_settings({"HOME": str(home), name: value}, tmp_path)
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model = ", "Cannot read"),
        ('modle = "typo"', "unknown settings: modle"),
        ('environment = "text"', "is no table"),
        ('model = ["a"]', "`model` in"),
        ("[environment]\nX = [1]", "`X` in"),
    ],
)
def test_a_config_file_without_sense_is_named(home: Path, tmp_path: Path, text: str, said: str) -> None:
    path = write_config(home, text)
    with pytest.raises(UsageError, match=said) as caught:
        load_settings({"HOME": str(home)}, tmp_path)
    assert str(path) in caught.value.message


def test_a_dotenv_that_is_no_text_is_named(home: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"KEY=\xff\xfe\n")
    with pytest.raises(UsageError, match=r"Cannot read .*\.env"):
        load_settings({"HOME": str(home)}, tmp_path)


def test_a_url_loses_its_last_slash(home: Path, tmp_path: Path) -> None:
    settings = load_settings({"HOME": str(home), "AUTOKAGGLE_KAGGLE_URL": "http://127.0.0.1:8000/"}, tmp_path)
    assert settings.kaggle_url == "http://127.0.0.1:8000"
