"""What jobs leave behind: plain private files, within bounds, and nothing where they may not write."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from autokaggle.records.sandbox import Isolation
from tests.sandbox_jobs import EVERY_LEVEL, STRONG, WALLED, make_job, run


def test_a_large_output_folder_is_left_as_plain_files(tmp_path: Path) -> None:
    job = make_job(
        tmp_path,
        """
        import os, socket
        os.chdir("/out")
        open("kept", "w").write("kept")
        os.makedirs("folder/inner"); open("folder/inner/kept", "w").write("kept")
        os.symlink("/etc/passwd", "link")
        os.symlink("folder", "folder_link")
        os.link("kept", "hard")  # taking one of the two away makes the other a plain file
        os.mkfifo("pipe")
        socket.socket(socket.AF_UNIX).bind("socket")
        open("two\\nlines", "w").close()
        open("\\x1b[31m", "w").close()
        os.chmod("folder", 0)
        """,
    )
    result, log = run(job, STRONG)
    assert result.exit_code == 0
    left = sorted(str(path.relative_to(job.output)) for path in job.output.rglob("*"))
    assert left in (["folder", "folder/inner", "folder/inner/kept", name] for name in ("hard", "kept"))
    assert log.count("[removed from output: ") == 7
    assert "\x1b" not in log


def test_a_tree_too_deep_to_walk_is_removed(tmp_path: Path) -> None:
    job = make_job(
        tmp_path,
        """
        import os
        for folder in ("/out", "/work"):
            os.chdir(folder)
            for number in range(150):
                os.mkdir("d" * 200)
                os.chdir("d" * 200)
            open("hidden", "w").write("x")
        """,
        bounds={"inodes": 10_000},
    )
    result, _ = run(job, STRONG)
    assert result.limit == "inodes"
    assert max(len(path.parts) for path in job.output.rglob("*")) - len(job.output.parts) <= 32


@EVERY_LEVEL
def test_output_is_kept_private(tmp_path: Path, isolation: Isolation) -> None:
    job = make_job(
        tmp_path,
        """
        import contextlib, os
        output = os.environ["AUTOKAGGLE_OUTPUT"]
        open(output + "/x", "w").write("x")
        with contextlib.suppress(PermissionError):
            os.chmod(output, 0o777)
        """,
    )
    run(job, isolation)
    assert job.output.stat().st_mode & 0o777 == 0o700
    assert (job.output / "x").stat().st_mode & 0o777 == 0o600


@WALLED
def test_input_code_and_environment_are_read_only(tmp_path: Path, isolation: Isolation) -> None:
    job = make_job(
        tmp_path,
        """
        import os, sys
        places = [os.environ["AUTOKAGGLE_INPUT"], os.path.dirname(__file__), sys.prefix, sys.base_prefix]
        for place in places:
            try:
                open(place + "/planted", "w")
            except OSError:
                continue
            print("wrote to", place)
        """,
    )
    result, log = run(job, isolation)
    assert (result.exit_code, log) == (0, "")


def test_a_given_work_folder_stays_and_another_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "open('left', 'w').write('x')"
    run(make_job(tmp_path / "a", text, work=tmp_path / "work"), STRONG)
    assert (tmp_path / "work" / "left").read_text() == "x"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    run(make_job(tmp_path / "b", text), STRONG)
    assert list(tmp_path.glob("autokaggle-work-*")) == []
