"""A small competition on a practice Kaggle; this file builds it for tests and talks to it as clients do."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from kagglesdk.competitions.services.competition_api_service import CompetitionApiClient
from kagglesdk.kaggle_env import KaggleEnv
from kagglesdk.kaggle_http_client import KaggleHttpClient

from autokaggle.practice.accounts import DEMO_KEY, DEMO_USERNAME
from autokaggle.practice.kaggle_server import PracticeKaggle

SLUG = "small-houses"
CREDENTIALS = (DEMO_USERNAME, DEMO_KEY)
SERVICE = "competitions.CompetitionApiService"
TEST_IDS = range(11, 19)
TRUTH = {number: float(number) for number in TEST_IDS}
TRAIN_CSV = "id,rooms,price\n" + "".join(f"{number},{number % 3},{number}\n" for number in range(1, 11))


def make_competition(folder: Path, slug: str = SLUG, **settings: Any) -> Path:
    """Write a competition of ten train and eight test rows to ``folder/slug``; ``settings`` go to competition.json."""
    competition = folder / slug
    files = {
        "competition.json": json.dumps(
            {
                "title": "Small houses",
                "deadline": "2099-01-02T03:04:05Z",
                "evaluationMetric": "Mean Absolute Error",
                "maxDailySubmissions": 3,
                **settings,
            }
        ),
        "pages/rules.md": "You may submit 3 entries per day.",
        "pages/Evaluation.md": "Mean absolute error.",
        "data/train.csv": TRAIN_CSV,
        "data/test.csv": "id,rooms\n" + "".join(f"{number},{number % 3}\n" for number in TEST_IDS),
        "data/sample_submission.csv": submission(dict.fromkeys(TEST_IDS, 0.0)).decode(),
        "data/images/first photo.txt": "not really a photo",
        "private/solution.csv": "id,price,Usage\n"
        + "".join(f"{number},{price},{'Public' if number % 2 else 'Private'}\n" for number, price in TRUTH.items()),
        "private/baselines/always ten.csv": submission(dict.fromkeys(TEST_IDS, 10.0)).decode(),
    }
    for name, text in files.items():
        path = competition / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return competition


def submission(prices: dict[int, float]) -> bytes:
    """Return a submission file with these prices."""
    return ("id,price\n" + "".join(f"{number},{price}\n" for number, price in prices.items())).encode()


def call(kaggle: PracticeKaggle, method: str, **fields: Any) -> requests.Response:
    """Make one API call as plain JSON with the demo account's key, without following a redirect."""
    return requests.post(
        f"{kaggle.url}/v1/{SERVICE}/{method}", json=fields, auth=CREDENTIALS, allow_redirects=False, timeout=10
    )


def link(kaggle: PracticeKaggle, name: str | None = None) -> str:
    """Return the signed link to one data file, or to the archive of all."""
    if name is None:
        reply = call(kaggle, "DownloadDataFiles", competitionName=SLUG)
    else:
        reply = call(kaggle, "DownloadDataFile", competitionName=SLUG, fileName=name)
    assert reply.status_code == 302
    return reply.headers["Location"]


def open_slot(kaggle: PracticeKaggle, content: bytes) -> tuple[str, str]:
    """Ask for an upload slot and return its token and address."""
    answer = call(
        kaggle,
        "StartSubmissionUpload",
        competitionName=SLUG,
        fileName="submission.csv",
        contentLength=len(content),
        lastModifiedEpochSeconds=1,
    ).json()
    return answer["token"], answer["createUrl"]


def hand_in(kaggle: PracticeKaggle, content: bytes, description: str = "a try") -> requests.Response:
    """Upload ``content`` and create a submission of it."""
    token, address = open_slot(kaggle, content)
    assert requests.put(address, data=content, timeout=10).status_code == 200
    return call(
        kaggle,
        "CreateSubmission",
        competitionName=SLUG,
        blobFileTokens=token,
        submissionDescription=description,
    )


def asked(request_type: Any, **fields: Any) -> Any:
    """Return a request of the official client with these fields set."""
    request = request_type()
    for name, value in fields.items():
        setattr(request, name, value)
    return request


@contextlib.contextmanager
def official_client(
    kaggle: PracticeKaggle, credentials: tuple[str, str] = CREDENTIALS, token: str | None = None
) -> Iterator[CompetitionApiClient]:
    """Yield Kaggle's own client over its own transport, which has no public setting for another address."""
    http = KaggleHttpClient(KaggleEnv.PROD, username=credentials[0], password=credentials[1], api_token=token)
    http._endpoint = kaggle.url
    with http:
        yield CompetitionApiClient(http)
