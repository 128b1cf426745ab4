"""The storage of the practice Kaggle: signed links, ranges, validators and what it refuses."""

from __future__ import annotations

import base64
import contextlib
import email.utils
import hashlib
import http.client
import io
import os
import urllib.parse
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from autokaggle.practice.byte_ranges import Unsatisfiable, UploadRange, parse_content_range, parse_range
from autokaggle.practice.kaggle_server import PracticeKaggle
from tests.practice_world import CREDENTIALS, SLUG, TRAIN_CSV, link, make_competition

TRAIN = TRAIN_CSV.encode()


@pytest.fixture
def kaggle(tmp_path: Path) -> Iterator[PracticeKaggle]:
    make_competition(tmp_path)
    with PracticeKaggle(tmp_path) as server:
        yield server


def get(address: str, **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.get(address, headers={"Accept-Encoding": "identity", **named}, timeout=10)


# ---------------------------------------------------------------- links


def test_links_name_another_host_than_the_api(kaggle: PracticeKaggle) -> None:
    assert urllib.parse.urlsplit(link(kaggle)).hostname != urllib.parse.urlsplit(kaggle.url).hostname


def test_a_link_ends_as_the_object_does(tmp_path: Path) -> None:
    make_competition(tmp_path, compressedFiles=["train.csv"])
    with PracticeKaggle(tmp_path) as kaggle:
        paths = [urllib.parse.urlsplit(link(kaggle, name)).path for name in (None, "test.csv", "train.csv")]
        wrapped = get(link(kaggle, "train.csv"))
    assert [path.rsplit("/", 1)[-1] for path in paths] == ["archive.zip", "test.csv", "train.csv.zip"]
    with zipfile.ZipFile(io.BytesIO(wrapped.content)) as archive:
        assert archive.namelist() == ["train.csv"]
        assert archive.read("train.csv") == TRAIN


def test_a_wrapped_file_is_named_without_its_folder(tmp_path: Path) -> None:
    make_competition(tmp_path, compressedFiles=["images/first photo.txt"])
    with PracticeKaggle(tmp_path) as kaggle:
        wrapped = get(link(kaggle, "images/first photo.txt"))
    with zipfile.ZipFile(io.BytesIO(wrapped.content)) as archive:
        assert archive.namelist() == ["first photo.txt"]


def test_a_link_is_good_for_its_time_only(tmp_path: Path) -> None:
    make_competition(tmp_path)
    with PracticeKaggle(tmp_path, link_seconds=-1.0) as kaggle:
        late = get(link(kaggle, "train.csv"))
    assert late.status_code == 400
    assert late.headers["Content-Type"].startswith("application/xml")
    assert "expired" in late.text


def test_a_link_cannot_be_bent(kaggle: PracticeKaggle) -> None:
    address = link(kaggle, "train.csv")
    bare = address.split("?")[0]
    attempts = [
        address.replace("train.csv", "test.csv"),
        address.replace("Expires=", "Expires=9"),
        address[:-1] + ("0" if address[-1] != "0" else "1"),
        bare,
        f"{bare}?Expires=x&Signature=%C3%A9",
    ]
    assert [get(attempt).status_code for attempt in attempts] == [403] * len(attempts)


@pytest.mark.parametrize("up", ["..", "%2e%2e", "..%2f.."])
def test_a_path_that_climbs_is_refused(kaggle: PracticeKaggle, up: str) -> None:
    # http.client sends the path as it stands; requests would tidy it first.
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(kaggle.url).netloc, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", f"/storage/{SLUG}/files/{up}/private/solution.csv?Expires=9999999999&Signature=0")
        assert connection.getresponse().status == 403


def test_credentials_are_refused_at_the_storage(kaggle: PracticeKaggle) -> None:
    assert requests.get(link(kaggle, "train.csv"), auth=CREDENTIALS, timeout=10).status_code == 400


def test_only_reading_is_answered(kaggle: PracticeKaggle) -> None:
    assert requests.delete(link(kaggle, "train.csv"), timeout=10).status_code == 405


# ---------------------------------------------------------------- bytes


def test_an_object_is_described_by_its_headers(kaggle: PracticeKaggle, tmp_path: Path) -> None:
    os.utime(tmp_path / SLUG / "data" / "train.csv", (1_700_000_000, 1_700_000_000))
    reply = get(link(kaggle, "train.csv"))
    digest = hashlib.md5(TRAIN).digest()
    assert reply.content == TRAIN
    assert reply.headers["Content-Length"] == str(len(TRAIN))
    assert reply.headers["ETag"] == f'"{digest.hex()}"'
    assert reply.headers["x-goog-hash"] == f"md5={base64.b64encode(digest).decode()}"
    assert reply.headers["Last-Modified"] == email.utils.formatdate(1_700_000_000, usegmt=True)
    assert reply.headers["Accept-Ranges"] == "bytes"
    assert reply.headers["Content-Type"].startswith("text/csv")


def test_head_sends_the_headers_alone(kaggle: PracticeKaggle) -> None:
    reply = requests.head(link(kaggle, "train.csv"), timeout=10)
    assert (reply.status_code, reply.headers["Content-Length"], reply.content) == (200, str(len(TRAIN)), b"")


def test_the_archive_is_the_same_each_time(kaggle: PracticeKaggle) -> None:
    first, second = get(link(kaggle)), get(link(kaggle))
    assert first.content == second.content
    assert first.headers["ETag"] == second.headers["ETag"]


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=10-", 10, None), ("bytes=3-7", 3, 8), ("bytes=-5", -5, None), ("bytes=0-99999", 0, None)],
)
def test_a_range_is_sent_alone(kaggle: PracticeKaggle, asked: str, start: int, end: int | None) -> None:
    reply = get(link(kaggle, "train.csv"), Range=asked)
    first = start % len(TRAIN)
    assert (reply.status_code, reply.content) == (206, TRAIN[start:end])
    assert reply.headers["Content-Range"] == f"bytes {first}-{first + len(reply.content) - 1}/{len(TRAIN)}"


def test_a_range_behind_the_end_is_refused_with_the_size(kaggle: PracticeKaggle) -> None:
    reply = get(link(kaggle, "train.csv"), Range=f"bytes={len(TRAIN)}-")
    assert (reply.status_code, reply.headers["Content-Range"]) == (416, f"bytes */{len(TRAIN)}")


def test_a_range_is_sent_only_of_the_version_that_the_client_has(kaggle: PracticeKaggle) -> None:
    address = link(kaggle, "train.csv")
    known = get(address).headers
    same = get(address, Range="bytes=10-", If_Range=known["ETag"])
    same_date = get(address, Range="bytes=10-", If_Range=known["Last-Modified"])
    other = get(address, Range="bytes=10-", If_Range='"another"')
    assert [each.status_code for each in (same, same_date, other)] == [206, 206, 200]
    assert other.content == TRAIN


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        ("bytes=0-0", 10, (0, 1)),
        ("bytes=-20", 10, (0, 10)),
        ("bytes=5-2", 10, None),
        ("bytes=0-1,3-4", 10, None),
        ("bytes=-", 10, None),
        ("lines=1-2", 10, None),
        ("", 10, None),
    ],
)
def test_range_headers(header: str, size: int, expected: tuple[int, int] | None) -> None:
    assert parse_range(header, size) == expected


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=0-", 0), ("bytes=-0", 10), ("bytes=-5", 0)])
def test_ranges_that_hold_nothing(header: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        parse_range(header, size)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes 0-4/10", UploadRange(0, 5, 10)),
        ("bytes 5-9/*", UploadRange(5, 10, None)),
        ("bytes */10", UploadRange(None, None, 10)),
        ("bytes 5-4/10", None),
        ("bytes 5-10/10", None),
        ("bytes 5-", None),
    ],
)
def test_content_range_headers(header: str, expected: UploadRange | None) -> None:
    assert parse_content_range(header) == expected
