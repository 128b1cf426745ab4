"""Archives are unpacked whole or not at all; what could do harm is refused before a byte is written."""

from __future__ import annotations

import io
import shutil
import stat
import struct
import types
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from autokaggle.errors import DiskTrouble
from autokaggle.records.event import Progress
from autokaggle.skills.competition import archive as archive_module
from autokaggle.skills.competition.archive import DamagedArchive, UnsafeArchive, extract_archive, name_problem
from autokaggle.skills.competition.inner_archives import unpack_inner_archives
from autokaggle.storage.dataset_cache import SPARE_BYTES, DatasetCache


@pytest.fixture
def cache(tmp_path: Path) -> DatasetCache:
    return DatasetCache(tmp_path / "cache")


def quiet(progress: Progress) -> None:
    pass


def make_zip(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as target:
        for name, content in entries.items():
            target.writestr(name, content)
    return buffer.getvalue()


def extract(content: bytes, tmp_path: Path, cache: DatasetCache) -> dict[str, bytes]:
    path = tmp_path / "data.zip"
    path.write_bytes(content)
    files = extract_archive(path, "the archive", cache, quiet)
    return {file.name: cache.blob(file.sha256).read_bytes() for file in files}


def written(cache: DatasetCache) -> list[Path]:
    """List the files in the cache, also unfinished ones; its own lock is no content."""
    return [path for path in cache.folder.rglob("*") if path.is_file() and path.name != ".lock"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_names_and_contents_stay(method: int, tmp_path: Path, cache: DatasetCache) -> None:
    entries = {"train.csv": b"a\n" * 5000, "images/a/0.png": b"\x00\xff", "empty.txt": b"", "päth/ü.csv": b"x"}
    content = make_zip({**entries, "folder/": b"", "./dot.csv": b"y"}, method)
    assert extract(content, tmp_path, cache) == {**entries, "dot.csv": b"y"}


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "a/..",
        "/tmp/x",
        "//x",
        "C:/x",
        "c:x",
        "a\\..\\x",
        "\\x",
        "a\nb",
        "a\x1b[31m",
        "x" * 256,
        "/".join(["x" * 200] * 6),
    ],
)
def test_a_name_that_leaves_its_folder_is_refused(name: str, tmp_path: Path, cache: DatasetCache) -> None:
    assert name_problem(name)
    with pytest.raises(UnsafeArchive, match=r"nothing of it was unpacked: entry") as raised:
        extract(make_zip({"train.csv": b"x", name: b"harm"}), tmp_path, cache)
    assert "\x1b" not in str(raised.value) and raised.value.exit_code == 5
    assert written(cache) == []


@pytest.mark.parametrize("name", ["a", "a/b.csv", "a b/ü.csv", ".hidden", "a..b/c..d", "...", "a:b"[2:]])
def test_plain_names_are_no_problem(name: str) -> None:
    assert name_problem(name) == ""


def test_a_name_cut_at_a_nul_byte_is_refused(tmp_path: Path, cache: DatasetCache) -> None:
    content = make_zip({"train.csvZ": b"x"}).replace(b"train.csvZ", b"train.csv\0")
    with pytest.raises(UnsafeArchive, match="control characters"):
        extract(content, tmp_path, cache)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_devices_are_refused(kind: int, tmp_path: Path, cache: DatasetCache) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        entry = zipfile.ZipInfo("passwords")
        entry.external_attr = (kind | 0o777) << 16
        target.writestr(entry, "/etc/passwd")
    with pytest.raises(UnsafeArchive, match="'passwords' is a link or a device"):
        extract(buffer.getvalue(), tmp_path, cache)
    assert written(cache) == []


def test_an_encrypted_entry_is_refused(tmp_path: Path, cache: DatasetCache) -> None:
    content = bytearray(make_zip({"a": b"x"}))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(UnsafeArchive, match="is encrypted"):
        extract(bytes(content), tmp_path, cache)


def test_an_unknown_compression_is_refused(tmp_path: Path, cache: DatasetCache) -> None:
    content = bytearray(make_zip({"a": b"x"}))
    struct.pack_into("<H", content, content.index(b"PK\x01\x02") + 10, 97)
    with pytest.raises(UnsafeArchive, match="compression method 97"):
        extract(bytes(content), tmp_path, cache)


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b/c", "a/b"), ("a", "./a")])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_entries_that_would_overwrite_each_other_are_refused(
    names: tuple[str, str], tmp_path: Path, cache: DatasetCache
) -> None:
    with pytest.raises(UnsafeArchive, match=r"same name|both a file and a folder"):
        extract(make_zip(dict.fromkeys(names, b"x")), tmp_path, cache)
    assert written(cache) == []


def test_a_bomb_is_refused_by_what_it_declares(
    tmp_path: Path, cache: DatasetCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "RATIO_COUNTS_FROM_BYTES", 1 << 20)
    content = make_zip({"zeros": bytes(8 << 20)})
    with pytest.raises(UnsafeArchive, match=r"bytes claim to hold 8,388,608"):
        extract(content, tmp_path, cache)
    assert written(cache) == []


def test_a_bomb_that_lies_about_its_size_is_stopped(tmp_path: Path, cache: DatasetCache) -> None:
    content = bytearray(make_zip({"zeros": bytes(4 << 20)}))
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, 100)
    with pytest.raises(DamagedArchive):
        extract(bytes(content), tmp_path, cache)
    assert written(cache) == []


def test_overlapping_entries_are_refused(tmp_path: Path, cache: DatasetCache) -> None:
    """Several directory entries that share one compressed body multiply a bomb without a telling ratio."""
    content = make_zip({"a": bytes(range(256)) * 40}, zipfile.ZIP_STORED)
    at = content.index(b"PK\x01\x02")
    body, entry, end = content[:at], content[at : content.index(b"PK\x05\x06")], content[content.index(b"PK\x05\x06") :]
    entries = b"".join(entry[:46] + name + entry[47:] for name in (b"a", b"b", b"c"))
    end = end[:8] + struct.pack("<HHII", 3, 3, len(entries), at) + end[20:]
    with pytest.raises(UnsafeArchive, match="entries overlap"):
        extract(body + entries + end, tmp_path, cache)
    assert written(cache) == []


def test_more_than_the_disk_can_take_is_refused(
    tmp_path: Path, cache: DatasetCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = types.SimpleNamespace(free=SPARE_BYTES + 999)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(DiskTrouble, match="GB free"):
        extract(make_zip({"large": b"x" * 1000}), tmp_path, cache)
    assert written(cache) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"<html>Sign in</html>",
        lambda content: content[:60] + bytes(60) + content[120:],
        lambda content: content[: content.index(b"PK\x01\x02")] + content[content.index(b"PK\x01\x02") + 20 :],
    ],
)
def test_a_damaged_archive_is_known_as_such(
    spoil: Callable[[bytes], bytes], tmp_path: Path, cache: DatasetCache
) -> None:
    content = make_zip({"train.csv": bytes(range(256)) * 99}, zipfile.ZIP_STORED)
    with pytest.raises(DamagedArchive, match="the archive is not a whole zip archive"):
        extract(spoil(content), tmp_path, cache)
    assert written(cache) == []


class TestInnerArchives:
    """Archives among the data are unpacked beside themselves, as far as that is safe."""

    def unpack(self, entries: dict[str, bytes], tmp_path: Path, cache: DatasetCache) -> tuple[set[str], dict[str, str]]:
        path = tmp_path / "data.zip"
        path.write_bytes(make_zip(entries))
        files, kept = unpack_inner_archives(extract_archive(path, "data", cache, quiet), cache, quiet)
        assert len({file.name for file in files}) == len(files)
        return {file.name for file in files}, kept

    def test_where_their_content_goes(self, tmp_path: Path, cache: DatasetCache) -> None:
        names, kept = self.unpack(
            {
                "train.csv.zip": make_zip({"train.csv": b"1"}),
                "raw/test.csv.zip": make_zip({"test.csv": b"2", "__MACOSX/._test.csv": b"junk"}),
                "images.zip": make_zip({"0.png": b"3", "1.png": b"4", ".DS_Store": b"junk"}),
                "masks.zip": make_zip({"masks/0.png": b"5", "masks/1.png": b"6"}),
                "notes.txt": b"zip",
            },
            tmp_path,
            cache,
        )
        assert kept == {}
        assert names == {
            "train.csv",
            "raw/test.csv",
            "images/0.png",
            "images/1.png",
            "masks/0.png",
            "masks/1.png",
            "notes.txt",
        }

    def test_one_that_would_do_harm_stays_packed_with_the_reason(self, tmp_path: Path, cache: DatasetCache) -> None:
        names, kept = self.unpack(
            {"bad.zip": make_zip({"../x": b"1"}), "torn.zip": b"PK\x03\x04", "good.csv": b"2"}, tmp_path, cache
        )
        assert names == {"bad.zip", "torn.zip", "good.csv"}
        assert "leaves its folder" in kept["bad.zip"] and "not a whole zip" in kept["torn.zip"]

    def test_nothing_is_overwritten(self, tmp_path: Path, cache: DatasetCache) -> None:
        names, kept = self.unpack(
            {
                "train.csv": b"1",
                "train.csv.zip": make_zip({"train.csv": b"other"}),
                "test.csv": b"2",
                "test.csv.zip": make_zip({"test.csv": b"2"}),
                "images/0.png": b"3",
                "images.csv.zip": make_zip({"images": b"4"}),
            },
            tmp_path,
            cache,
        )
        assert names == {"train.csv", "train.csv.zip", "test.csv", "images/0.png", "images.csv.zip"}
        assert set(kept) == {"train.csv.zip", "images.csv.zip"}

    def test_archives_inside_archives_stay(self, tmp_path: Path, cache: DatasetCache) -> None:
        names, _ = self.unpack(
            {"a.zip": make_zip({"b.zip": make_zip({"c.csv": b"1"}), "d.csv": b"2"})}, tmp_path, cache
        )
        assert names == {"a/b.zip", "a/d.csv"}
