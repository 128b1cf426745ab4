"""A fetch writes pages and data into the run, downloads only what changed, and works from the cache alone."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import threading
import time
from pathlib import Path

import pytest

from autokaggle.errors import CompetitionUnusable, OutsideWorldError
from autokaggle.records.competition import Competition
from autokaggle.records.event import Progress
from autokaggle.skills.competition import transfer
from autokaggle.skills.competition.fetcher import fetch_competition, fetch_offline
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.dataset_cache import DatasetCache
from tests.kaggle_servers import (
    BOTH_SERVERS,
    SLUG,
    KaggleServer,
    contents,
    data_of,
    open_client,
    serve,
    write_competition,
)


@pytest.fixture
def cache(tmp_path: Path) -> DatasetCache:
    return DatasetCache(tmp_path / "cache")


def new_run(tmp_path: Path, name: str = "one") -> RunFolder:
    return RunFolder.create(tmp_path / "runs", name)


def fetch(server: KaggleServer, run: RunFolder, cache: DatasetCache) -> tuple[Competition, list[Progress]]:
    heard: list[Progress] = []
    with open_client(server) as client:
        return fetch_competition(client, SLUG, run, cache, heard.append), heard


def test_pages_data_and_facts_arrive(
    server: KaggleServer, competition: Path, tmp_path: Path, cache: DatasetCache
) -> None:
    run = new_run(tmp_path)
    found, heard = fetch(server, run, cache)
    assert contents(run.data) == data_of(competition)
    assert set(contents(run.pages)) == {"evaluation.md", "rules.md", "description.md"} == set(found.pages)
    assert "hidden" not in (run.pages / "description.md").read_text()
    assert {file.name: file.bytes for file in found.files} == {
        name: len(content) for name, content in data_of(competition).items()
    }
    assert found.metric.wording == "Categorization Accuracy" and "evaluationMetric" in found.metric.evidence
    assert found.metric.metric is None
    assert (found.limits.daily, found.limits.left_today) == (5, 5)
    assert {gate.name: gate.value for gate in found.gates} == {
        "external_data": False,
        "team_size": 5,
        "daily_submissions": 5,
    }
    assert found.sources["pages/evaluation.md"] == "Kaggle page “Evaluation”"
    assert any("MB/s" in progress.text and progress.done == progress.total for progress in heard)


def test_what_a_run_gets_is_private_and_read_only(server: KaggleServer, tmp_path: Path, cache: DatasetCache) -> None:
    run = new_run(tmp_path)
    fetch(server, run, cache)
    for path in run.data.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o400)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in run.pages.iterdir())


def test_a_second_fetch_downloads_nothing_and_says_so(
    server: KaggleServer, competition: Path, tmp_path: Path, cache: DatasetCache
) -> None:
    first, _ = fetch(server, new_run(tmp_path), cache)
    before = len(server.downloads())
    second, heard = fetch(server, new_run(tmp_path, "two"), cache)
    assert second == first
    assert len(server.downloads()) == before == 1
    assert len(server.calls("DownloadDataFiles")) == 1
    assert "5 data files come from the cache: nothing to download" in [progress.text for progress in heard]
    assert contents(new_run(tmp_path, "two").data) == data_of(competition)


def test_leftovers_of_an_earlier_fetch_go(
    server: KaggleServer, competition: Path, tmp_path: Path, cache: DatasetCache
) -> None:
    run = new_run(tmp_path)
    (run.data / "old").mkdir(parents=True)
    (run.data / "old" / "stale.csv").write_text("x")
    (run.pages / "stale.md").write_text("x")
    fetch(server, run, cache)
    assert contents(run.data) == data_of(competition)
    assert not (run.pages / "stale.md").exists()


def test_a_content_lost_from_the_cache_is_fetched_again(
    server: KaggleServer, competition: Path, tmp_path: Path, cache: DatasetCache
) -> None:
    fetch(server, new_run(tmp_path), cache)
    shutil.rmtree(next(cache.folder.glob("blobs/??")))
    run = new_run(tmp_path, "two")
    fetch(server, run, cache)
    assert contents(run.data) == data_of(competition)
    assert len(server.downloads()) == 2


def test_offline_needs_no_server(server: KaggleServer, competition: Path, tmp_path: Path, cache: DatasetCache) -> None:
    online, _ = fetch(server, new_run(tmp_path), cache)
    run = new_run(tmp_path, "two")
    heard: list[Progress] = []
    found = fetch_offline(SLUG, run, cache, heard.append, kaggle_url="http://127.0.0.1:9")
    assert found == online
    assert contents(run.data) == data_of(competition)
    assert set(contents(run.pages)) == set(found.pages)
    assert "comes from the cache" in heard[-1].text


def test_offline_without_a_cached_copy_is_refused(tmp_path: Path, cache: DatasetCache) -> None:
    with pytest.raises(CompetitionUnusable, match="does not hold tiny-titanic") as raised:
        fetch_offline(SLUG, new_run(tmp_path), cache, lambda progress: None)
    assert "without --offline" in raised.value.next_step


def test_an_outage_points_to_the_cached_copy(server: KaggleServer, tmp_path: Path, cache: DatasetCache) -> None:
    server.arm("server_error", match="GetCompetition$", skip=1)
    fetch(server, new_run(tmp_path), cache)
    with pytest.raises(OutsideWorldError, match="--offline"):
        fetch(server, new_run(tmp_path, "two"), cache)


def test_limits_that_cannot_be_had_are_no_reason_to_fail(
    server: KaggleServer, tmp_path: Path, cache: DatasetCache
) -> None:
    server.arm("unauthorized", match="GetSubmissionLimits")
    found, _ = fetch(server, new_run(tmp_path), cache)
    assert (found.limits.daily, found.limits.left_today) == (5, None)


def test_where_there_is_no_archive_files_come_one_by_one(
    server: KaggleServer, competition: Path, tmp_path: Path, cache: DatasetCache
) -> None:
    server.arm("not_found", match="DownloadDataFiles$")
    run = new_run(tmp_path)
    fetch(server, run, cache)
    assert contents(run.data) == data_of(competition)
    assert len(server.downloads()) == 5
    assert not list(cache.folder.glob("downloads/*/*/*"))


class TestOtherServings:
    """Competitions that need another preparation before they are served."""

    @pytest.fixture
    def competition(self, tmp_path: Path) -> Path:
        return write_competition(tmp_path / "served", compressedFiles=["train.csv", "images/train/0.txt"])

    def test_single_files_in_zip_wrappers_are_unwrapped(
        self, server: KaggleServer, competition: Path, tmp_path: Path, cache: DatasetCache
    ) -> None:
        server.arm("not_found", match="DownloadDataFiles$")
        run = new_run(tmp_path)
        fetch(server, run, cache)
        assert contents(run.data) == data_of(competition)


@pytest.mark.parametrize("kind", BOTH_SERVERS)
def test_changed_data_are_fetched_again(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, cache: DatasetCache
) -> None:
    competition = write_competition(tmp_path / "served")
    with serve(kind, request, competition.parent) as server:
        fetch(server, new_run(tmp_path), cache)
    train = competition / "data" / "train.csv"
    changed = train.read_bytes().replace(b"n7", b"m7")
    train.write_bytes(changed)
    os.utime(train, (1_700_000_000, 1_700_000_000))
    with serve(kind, request, competition.parent) as server:
        run = new_run(tmp_path, "two")
        fetch(server, run, cache)
        assert len(server.downloads()) == 1
    assert (run.data / "train.csv").read_bytes() == changed
    assert contents(new_run(tmp_path, "one").data)["train.csv"] != changed


@pytest.mark.parametrize("kind", BOTH_SERVERS)
def test_a_competition_of_very_many_files(
    kind: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    cache: DatasetCache,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transfer, "MOST_LISTED_FILES", 200)
    monkeypatch.setattr("autokaggle.skills.competition.fetcher.MOST_LISTED_FILES", 200)
    competition = write_competition(tmp_path / "served")
    for number in range(300):
        (competition / "data" / "images" / f"{number:04}.txt").write_text(str(number))
    with serve(kind, request, competition.parent) as server:
        run = new_run(tmp_path)
        fetch(server, run, cache)
        fetch(server, new_run(tmp_path, "two"), cache)
        assert contents(run.data) == data_of(competition)
        assert len(server.downloads()) == 1
        if kind == "emulator":
            assert len(server.calls("ListDataFiles")) == 2


@pytest.mark.parametrize("kind", BOTH_SERVERS)
def test_a_competition_without_data_is_refused(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, cache: DatasetCache
) -> None:
    competition = write_competition(tmp_path / "served")
    shutil.rmtree(competition / "data")
    (competition / "data").mkdir()
    with serve(kind, request, competition.parent) as server, pytest.raises(CompetitionUnusable, match="no data files"):
        fetch(server, new_run(tmp_path), cache)


class TestFilesOneByOne:
    """What happens to single files when the process ends between two steps."""

    @pytest.fixture
    def competition(self, tmp_path: Path) -> Path:
        folder = write_competition(tmp_path / "served", compressedFiles=["train.csv"])
        (folder / "data" / "large.csv").write_bytes(b"1,2\n" * 500_000)
        return folder

    def test_a_wrapped_file_stays_wrapped_when_the_process_is_killed_before_it_is_unpacked(
        self, server: KaggleServer, competition: Path, tmp_path: Path, cache: DatasetCache
    ) -> None:
        server.arm("not_found", match="DownloadDataFiles$", times=2)
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
            # As kill -9 leaves it: the download is whole, and nobody tidied up.
            patch.setattr(transfer, "discard", lambda target: None)
            patch.setattr(DatasetCache, "add", _end_here)
            fetch(server, new_run(tmp_path), cache)
        run = new_run(tmp_path, "two")
        fetch(server, run, cache)
        assert contents(run.data) == data_of(competition)
        assert not list(cache.folder.glob("downloads/*/*/*"))


def test_ctrl_c_does_not_wait_for_the_files_under_way(
    tmp_path: Path, cache: DatasetCache, request: pytest.FixtureRequest
) -> None:
    competition = write_competition(tmp_path / "served")
    for number in range(6):
        (competition / "data" / f"large{number}.csv").write_bytes(b"1,2\n" * 500_000)
    with serve("practice", request, competition.parent) as server:
        server.arm("not_found", match="DownloadDataFiles$")
        server.arm("slow", times=20, bytes_per_second=50_000)
        timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            fetch(server, new_run(tmp_path), cache)
        assert time.monotonic() - started < 20


def _end_here(*arguments: object, **named: object) -> None:
    raise SystemExit(9)
