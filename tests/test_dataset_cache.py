"""The cache keeps each content once, whole, private and locked, and pruning it harms no run."""

from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from autokaggle.errors import ActionNeeded, DiskTrouble, OutsideWorldError
from autokaggle.records.competition import DataFile
from autokaggle.storage.dataset_cache import SEALED_TIME_NS, DatasetCache, Manifest

ORIGIN, SLUG = "kaggle.com", "titanic"


@pytest.fixture
def cache(tmp_path: Path) -> DatasetCache:
    return DatasetCache(tmp_path / "cache")


def add(cache: DatasetCache, **contents: str) -> tuple[DataFile, ...]:
    return tuple(cache.add(name, io.BytesIO(text.encode())) for name, text in contents.items())


def save(cache: DatasetCache, files: tuple[DataFile, ...], slug: str = SLUG) -> None:
    cache.save(Manifest(slug=slug, origin=ORIGIN, fetched="2026-01-01T00:00:00+00:00", files=files))


def blobs(cache: DatasetCache) -> set[str]:
    return {path.name for path in cache.folder.glob("blobs/*/*")}


def test_a_content_is_kept_once_and_read_only(cache: DatasetCache) -> None:
    one, two = add(cache, a="same", b="same")
    assert (one.sha256, one.bytes, one.name, two.name) == (two.sha256, 4, "a", "b")
    assert blobs(cache) == {one.sha256}
    facts = cache.blob(one.sha256).stat()
    assert stat.S_IMODE(facts.st_mode) == 0o400 and facts.st_mtime_ns == SEALED_TIME_NS
    assert list(cache.folder.glob("blobs/.*.part")) == []


def test_folders_are_private(cache: DatasetCache) -> None:
    before = os.umask(0)
    try:
        files = add(cache, a="x")
        with cache.locked(ORIGIN, SLUG):
            save(cache, files)
            cache.downloads(ORIGIN, SLUG)
    finally:
        os.umask(before)
    for path in [cache.folder, *cache.folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_links_share_the_content_and_nested_names_stay(cache: DatasetCache, tmp_path: Path) -> None:
    files = add(cache, **{"train.csv": "1", "images/a/0.png": "2", "images/b/0.png": "3"})
    target = tmp_path / "run" / "data"
    cache.link(files, target)
    assert (target / "images/a/0.png").read_text() == "2" and (target / "images/b/0.png").read_text() == "3"
    assert (target / "train.csv").stat().st_ino == cache.blob(files[0].sha256).stat().st_ino
    cache.link(files[:1], target)
    assert [path.name for path in target.rglob("*")] == ["train.csv"]


def test_across_file_systems_files_are_copied(
    cache: DatasetCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    files = add(cache, a="x")
    cache.link(files, tmp_path / "data")
    copy = tmp_path / "data" / "a"
    assert copy.read_text() == "x" and stat.S_IMODE(copy.stat().st_mode) == 0o400
    assert copy.stat().st_ino != cache.blob(files[0].sha256).stat().st_ino


def test_a_stream_longer_than_declared_leaves_nothing(cache: DatasetCache) -> None:
    with pytest.raises(ValueError, match="longer than the 3 bytes"):
        cache.add("a", io.BytesIO(b"four"), limit=3)
    assert blobs(cache) == set() and list(cache.folder.glob("blobs/.*")) == []


def test_a_manifest_counts_only_while_all_contents_are_whole(cache: DatasetCache) -> None:
    files = add(cache, a="first", b="second")
    assert cache.manifest(ORIGIN, SLUG) is None
    save(cache, files)
    found = cache.manifest(ORIGIN, SLUG)
    assert found is not None and found.files == files
    cache.blob(files[1].sha256).unlink()
    assert cache.manifest(ORIGIN, SLUG) is None


def test_a_damaged_manifest_is_as_good_as_none(cache: DatasetCache) -> None:
    save(cache, add(cache, a="first"))
    path = next(cache.folder.glob("competitions/*/*.json"))
    for content in ("{", '{"version": 99}', "[]"):
        path.write_text(content)
        assert cache.manifest(ORIGIN, SLUG) is None and cache.manifests() == ()
    assert cache.prune().blobs == 1


def overwrite(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(b"f1rst")


def touch(path: Path) -> None:
    os.utime(path)


def cut(path: Path) -> None:
    path.chmod(0o600)
    os.truncate(path, 2)
    os.utime(path, ns=(SEALED_TIME_NS, SEALED_TIME_NS))


@pytest.mark.parametrize(("change", "counts"), [(overwrite, False), (touch, True), (cut, False)])
def test_a_content_that_somebody_wrote_to_is_found_out(
    change: Callable[[Path], None], counts: bool, cache: DatasetCache
) -> None:
    files = add(cache, a="first")
    save(cache, files)
    change(cache.blob(files[0].sha256))
    assert (cache.manifest(ORIGIN, SLUG) is not None) is counts
    add(cache, a="first")
    assert cache.blob(files[0].sha256).read_text() == "first"
    assert cache.manifest(ORIGIN, SLUG) is not None


def test_a_content_that_vanished_is_no_traceback(cache: DatasetCache, tmp_path: Path) -> None:
    with pytest.raises(OutsideWorldError, match="vanished from the cache"):
        cache.link((DataFile(name="a", bytes=1, sha256="0" * 64),), tmp_path / "data")


def test_a_disk_that_is_too_small_is_refused_before_harm(cache: DatasetCache) -> None:
    cache.require_space(1)
    with pytest.raises(DiskTrouble, match="GB free") as raised:
        cache.require_space(shutil.disk_usage(cache.folder).free)
    assert "AUTOKAGGLE_HOME" in raised.value.next_step


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_disk_that_fills_up_is_explained(cache: DatasetCache, monkeypatch: pytest.MonkeyPatch) -> None:
    open_really = os.open

    def open_full(path: Path, *arguments: int) -> int:
        descriptor = open_really(path, *arguments)
        if Path(path).suffix != ".part":
            return descriptor
        os.close(descriptor)
        return open_really("/dev/full", os.O_WRONLY)

    monkeypatch.setattr(os, "open", open_full)
    with pytest.raises(DiskTrouble, match=r"disk of .* is full"):
        add(cache, a="x")
    assert list(cache.folder.glob("blobs/.*")) == []


def test_pruning_keeps_what_other_competitions_and_runs_use(cache: DatasetCache, tmp_path: Path) -> None:
    mine, shared, other = add(cache, mine="1", shared="22", other="333")
    save(cache, (mine, shared), "mine")
    save(cache, (shared, other), "other")
    (cache.downloads(ORIGIN, "mine") / "x.part").write_text("half")
    cache.link((mine, shared), tmp_path / "data")
    pruned = cache.prune(["mine"])
    assert (pruned.competitions, pruned.blobs, pruned.bytes) == (1, 1, 1)
    assert blobs(cache) == {shared.sha256, other.sha256}
    assert (tmp_path / "data" / "mine").read_text() == "1"
    assert not list(cache.folder.glob("downloads/*/*"))
    assert [manifest.slug for manifest in cache.manifests()] == ["other"]
    assert cache.prune().blobs == 2 and blobs(cache) == set() and cache.manifests() == ()
    assert cache.prune().competitions == 0


HOLDER = """
import sys, time
from pathlib import Path
from autokaggle.storage.dataset_cache import DatasetCache
with DatasetCache(Path(sys.argv[1])).locked("kaggle.com", sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold(cache: DatasetCache) -> Callable[[str], subprocess.Popen[str]]:
    def start(slug: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(cache.folder), slug]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        return process

    return start


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=10)


def test_two_processes_do_not_fetch_the_same_competition_at_once(
    cache: DatasetCache, hold: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = hold(SLUG)
    waited: list[str] = []

    def on_wait() -> None:
        waited.append("once")
        end(process)  # a lock does not outlive its process, however that ends

    with cache.locked(ORIGIN, SLUG, on_wait):
        assert waited == ["once"]
    with cache.locked(ORIGIN, SLUG, on_wait):
        assert waited == ["once"]


def test_another_competition_is_not_waited_for(
    cache: DatasetCache, hold: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = hold("other")
    with cache.locked(ORIGIN, SLUG, lambda: pytest.fail("waited")):
        pass
    end(process)


def test_what_a_killed_process_had_begun_is_removed_by_the_next_unless_one_is_at_work(
    cache: DatasetCache, hold: Callable[[str], subprocess.Popen[str]]
) -> None:
    add(cache, a="first")
    process = hold("other")
    part = cache.folder / "blobs" / ".7-abc.part"
    part.write_text("half")
    with cache.locked(ORIGIN, SLUG):
        assert part.is_file()
    end(process)
    with cache.locked(ORIGIN, SLUG):
        assert not part.exists()
    assert blobs(cache) != set()


class MeanwhileAnother(io.BytesIO):
    """A content during whose reading another process begins to work in the cache."""

    def __init__(self, content: bytes, other: DatasetCache) -> None:
        super().__init__(content)
        self._other = other

    def read(self, size: int | None = -1, /) -> bytes:
        with self._other.locked(ORIGIN, "other"):
            return super().read(size)


def test_what_is_being_added_is_not_taken_for_what_a_killed_process_left(cache: DatasetCache) -> None:
    file = cache.add("a", MeanwhileAnother(b"first", DatasetCache(cache.folder)))
    assert cache.blob(file.sha256).read_text() == "first"


def test_pruning_does_not_pull_files_from_under_a_download(
    cache: DatasetCache, hold: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = hold(SLUG)
    with pytest.raises(ActionNeeded, match="downloading into the cache"):
        cache.prune()
    end(process)
    assert cache.prune().competitions == 0
