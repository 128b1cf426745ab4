"""Large downloads: killed, resumed, shared between processes, and cut wherever a connection can be cut."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from autokaggle.errors import DiskTrouble, OutsideWorldError
from autokaggle.records.event import Progress
from autokaggle.skills.competition.download import StoredObject, discard, download
from autokaggle.skills.competition.fetcher import fetch_competition
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.dataset_cache import DatasetCache
from tests.kaggle_servers import (
    QUICK,
    SLUG,
    KaggleServer,
    contents,
    data_of,
    open_client,
    write_competition,
)

LARGE_BYTES = 50_000_000
FETCH = """
import sys
from pathlib import Path
from autokaggle.skills.competition.credentials import Credentials
from autokaggle.skills.competition.fetcher import fetch_competition
from autokaggle.skills.competition.kaggle_client import KaggleClient
from autokaggle.storage.artifacts import RunFolder
from autokaggle.storage.dataset_cache import DatasetCache
url, user, key, top, name = sys.argv[1:]
client = KaggleClient(url, Credentials("test", "legacy key", key, user))
run = RunFolder.create(Path(top) / "runs", name)
fetch_competition(client, "tiny-titanic", run, DatasetCache(Path(top) / "cache"), lambda progress: None)
"""


def start_fetch(server: KaggleServer, top: Path, name: str) -> subprocess.Popen[bytes]:
    arguments = [server.url, server.credentials.username, server.credentials.secret, str(top), name]
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(FETCH), *arguments])


class TestLarge:
    """50 MB that do not compress."""

    @pytest.fixture
    def competition(self, tmp_path: Path) -> Path:
        folder = write_competition(tmp_path / "served")
        (folder / "data" / "large.bin").write_bytes(random.Random(0).randbytes(LARGE_BYTES))
        return folder

    def test_a_killed_download_goes_on_without_fetching_again_what_it_had(
        self, server: KaggleServer, competition: Path, tmp_path: Path
    ) -> None:
        server.arm("slow", bytes_per_second=20_000_000, times=1)
        process = start_fetch(server, tmp_path, "one")
        part = wait_for_part(tmp_path / "cache", LARGE_BYTES // 4)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(60)
        had = part.stat().st_size
        assert LARGE_BYTES // 4 <= had < LARGE_BYTES
        assert start_fetch(server, tmp_path, "two").wait(300) == 0
        first, second = server.downloads()
        assert "range" not in first.headers
        assert second.headers["range"] == f"bytes={had}-"
        assert contents(tmp_path / "runs" / "two" / "input" / "data") == data_of(competition)
        assert list((tmp_path / "cache").glob("downloads/*/*/*")) == []

    def test_two_processes_share_one_download(self, server: KaggleServer, competition: Path, tmp_path: Path) -> None:
        processes = [start_fetch(server, tmp_path, name) for name in ("one", "two")]
        assert [process.wait(300) for process in processes] == [0, 0]
        assert len(server.downloads()) == 1
        for name in ("one", "two"):
            assert contents(tmp_path / "runs" / name / "input" / "data") == data_of(competition)


def wait_for_part(cache: Path, size: int) -> Path:
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up:
        for part in cache.glob("downloads/*/*/*.part"):
            if part.stat().st_size >= size:
                return part
        time.sleep(0.01)
    raise AssertionError("the download never got that far")


def test_killed_anywhere_a_fetch_can_be_repeated(server: KaggleServer, competition: Path, tmp_path: Path) -> None:
    """Kill a fetch at moments all over its life; whatever it left, the next one ends with the same data."""
    server.arm("slow", bytes_per_second=10_000)
    for number in range(6):
        process = start_fetch(server, tmp_path, f"killed-{number}")
        time.sleep(0.15 + 0.12 * number)
        process.kill()
        process.wait(60)
    run = RunFolder.create(tmp_path / "runs", "last")
    with open_client(server) as client:
        fetch_competition(client, SLUG, run, DatasetCache(tmp_path / "cache"), lambda progress: None)
    assert contents(run.data) == data_of(competition)


class Storage:
    """Answers ``send`` with prepared responses, each a function of the request's headers."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.sent: list[dict[str, str]] = []
        self.headers = {"ETag": '"v1"', "Content-Length": str(len(content))}
        self.override: list[Any] = []

    def send(self, method: str, url: str, *, headers: dict[str, str], stream: bool) -> requests.Response:
        import io

        import urllib3

        self.sent.append(headers)
        start = int(headers["Range"].removeprefix("bytes=").rstrip("-")) if "Range" in headers else 0
        status, extra, body = 206 if start else 200, dict(self.headers), self.content[start:]
        if start:
            extra["Content-Range"] = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
            extra["Content-Length"] = str(len(body))
        if self.override:
            change = self.override.pop(0)
            if isinstance(change, Exception):
                raise change
            status, extra, body = change(status, extra, body)
        response = requests.Response()
        response.status_code = status
        response.headers.update(extra)
        response.raw = urllib3.HTTPResponse(io.BytesIO(body), headers=extra, status=status, preload_content=False)
        return response


@pytest.fixture
def storage() -> Storage:
    return Storage(bytes(range(256)) * 40)


def bring(storage: Storage, target: Path, space: int = 1 << 40) -> list[Progress]:
    heard: list[Progress] = []

    def require_space(size: int) -> None:
        if size > space:
            raise DiskTrouble("no space")

    download(
        storage.send,
        lambda: f"http://storage/object?Signature={len(storage.sent)}",
        target,
        label="Downloading it",
        retry=QUICK,
        require_space=require_space,
        on_progress=heard.append,
    )
    return heard


def leave_part(target: Path, content: bytes, known: StoredObject | bytes) -> None:
    target.with_name(target.name + ".part").write_bytes(content)
    raw = known if isinstance(known, bytes) else msgspec.json.encode(known)
    target.with_name(target.name + ".part.json").write_bytes(raw)


def test_a_part_is_continued_under_the_same_validator(storage: Storage, tmp_path: Path) -> None:
    target = tmp_path / "object"
    leave_part(target, storage.content[:1000], StoredObject(validator='"v1"', size=len(storage.content)))
    heard = bring(storage, target)
    assert target.read_bytes() == storage.content
    assert storage.sent == [{"Range": "bytes=1000-", "If-Range": '"v1"'}]
    assert heard[-1].done == heard[-1].total == len(storage.content)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["object"]


@pytest.mark.parametrize("sidecar", [b"", b"{", b"[]", b'{"validator": 7}', msgspec.json.encode(StoredObject(size=5))])
def test_a_part_whose_origin_is_unknown_starts_again(sidecar: bytes, storage: Storage, tmp_path: Path) -> None:
    target = tmp_path / "object"
    leave_part(target, b"somebody else's bytes", sidecar)
    bring(storage, target)
    assert target.read_bytes() == storage.content
    assert storage.sent == [{}]


def test_a_part_that_is_complete_needs_no_request(storage: Storage, tmp_path: Path) -> None:
    target = tmp_path / "object"
    leave_part(target, storage.content, StoredObject(validator='"v1"', size=len(storage.content)))
    bring(storage, target)
    assert target.read_bytes() == storage.content and storage.sent == []


def test_a_target_that_is_there_needs_no_request(storage: Storage, tmp_path: Path) -> None:
    target = tmp_path / "object"
    target.write_bytes(b"whole")
    bring(storage, target)
    assert target.read_bytes() == b"whole" and storage.sent == []


@pytest.mark.parametrize(
    "content_range", ["bytes 999-10239/10240", "bytes 1000-10239/9999", "bytes */10240", "", "nonsense"]
)
def test_another_range_than_asked_for_is_not_appended(content_range: str, storage: Storage, tmp_path: Path) -> None:
    target = tmp_path / "object"
    leave_part(target, storage.content[:1000], StoredObject(validator='"v1"', size=len(storage.content)))
    storage.override = [lambda status, headers, body: (206, {**headers, "Content-Range": content_range}, body)]
    bring(storage, target)
    assert target.read_bytes() == storage.content
    assert storage.sent[1] == {}


def test_a_range_of_another_object_is_not_appended(storage: Storage, tmp_path: Path) -> None:
    target = tmp_path / "object"
    leave_part(target, b"x" * 1000, StoredObject(validator='"v0"', size=len(storage.content)))
    bring(storage, target)
    assert target.read_bytes() == storage.content


def test_an_error_body_never_ends_up_in_the_part(storage: Storage, tmp_path: Path) -> None:
    target = tmp_path / "object"
    leave_part(target, storage.content[:1000], StoredObject(validator='"v1"', size=len(storage.content)))
    error = (b"<Error><Code>ExpiredToken</Code></Error>", {"Content-Type": "application/xml"})
    storage.override = [lambda status, headers, body, code=code: (code, error[1], error[0]) for code in (400, 403, 503)]
    bring(storage, target)
    assert target.read_bytes() == storage.content
    assert [sent["Range"] for sent in storage.sent] == ["bytes=1000-"] * 4


def test_a_weak_validator_is_not_relied_on(storage: Storage, tmp_path: Path) -> None:
    target = tmp_path / "object"
    storage.headers["ETag"] = 'W/"v1"'
    storage.override = [lambda status, headers, body: (status, headers, body[:100])]
    bring(storage, target)
    assert target.read_bytes() == storage.content
    assert storage.sent == [{}, {}]


def test_last_modified_stands_in_for_an_etag(storage: Storage, tmp_path: Path) -> None:
    target = tmp_path / "object"
    del storage.headers["ETag"]
    storage.headers["Last-Modified"] = "Mon, 01 Jan 2024 00:00:00 GMT"
    storage.override = [lambda status, headers, body: (status, headers, body[:100])]
    bring(storage, target)
    assert storage.sent[1] == {"Range": "bytes=100-", "If-Range": "Mon, 01 Jan 2024 00:00:00 GMT"}
    assert target.read_bytes() == storage.content


def test_a_body_without_a_length_is_taken_to_its_end(storage: Storage, tmp_path: Path) -> None:
    target = tmp_path / "object"
    del storage.headers["Content-Length"]
    heard = bring(storage, target)
    assert target.read_bytes() == storage.content
    assert all(progress.total is None for progress in heard)


def test_an_encoded_body_is_decoded_and_not_continued(storage: Storage, tmp_path: Path) -> None:
    import gzip

    target = tmp_path / "object"
    packed = gzip.compress(storage.content)
    encoded = {"Content-Encoding": "gzip", "Content-Length": str(len(packed)), "ETag": '"v1"'}
    storage.override = [lambda status, headers, body: (status, encoded, packed)]
    bring(storage, target)
    assert target.read_bytes() == storage.content


def test_space_is_checked_before_the_first_byte(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(DiskTrouble):
        bring(storage, tmp_path / "object", space=100)
    assert sum(path.stat().st_size for path in tmp_path.glob("*.part")) == 0


def test_failures_in_a_row_end_it_and_the_address_is_not_shown(storage: Storage, tmp_path: Path) -> None:
    storage.override = [requests.ConnectionError("http://storage/object?Signature=0 refused")] * 20
    with pytest.raises(OutsideWorldError, match=r"Downloading it failed: the connection failed") as raised:
        bring(storage, tmp_path / "object")
    assert "Signature" not in str(raised.value)
    assert raised.value.__cause__ is None and raised.value.__suppress_context__
    assert len(storage.sent) == QUICK.attempts


def test_progress_is_worth_another_attempt(storage: Storage, tmp_path: Path) -> None:
    """A line that drops every kilobyte still gets there: only attempts that bring nothing are counted."""
    storage.override = [lambda status, headers, body: (status, headers, body[:1024])] * 9
    bring(storage, tmp_path / "object")
    assert (tmp_path / "object").read_bytes() == storage.content
    assert len(storage.sent) == 10


def test_discarding_leaves_nothing(storage: Storage, tmp_path: Path) -> None:
    target = tmp_path / "object"
    leave_part(target, b"x", StoredObject())
    target.write_bytes(b"x")
    discard(target)
    discard(target)
    assert list(tmp_path.iterdir()) == []


def test_the_sidecar_is_readable_json_without_the_address(storage: Storage, tmp_path: Path) -> None:
    storage.override = [
        lambda status, headers, body: (status, headers, body[:100]),
        *[requests.ConnectionError("gone")] * 9,
    ]
    with pytest.raises(OutsideWorldError):
        bring(storage, tmp_path / "object")
    sidecar = json.loads((tmp_path / "object.part.json").read_text())
    assert sidecar == {"version": 1, "validator": '"v1"', "size": len(storage.content), "md5": ""}
    assert (tmp_path / "object.part").read_bytes() == storage.content[:100]
