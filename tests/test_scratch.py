"""Folders for the length of one step: nothing is left of them, also where a process was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from autokaggle.storage.scratch import scratch_folder

PREFIX = ".autokaggle-step-"
HOLDS_ONE = """
import sys, time
from pathlib import Path
from autokaggle.storage.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1]), "step") as folder:
    (folder / "part").write_text("half")
    print(folder, flush=True)
    time.sleep(600)
"""


def test_a_scratch_folder_goes_with_its_step(tmp_path: Path) -> None:
    with scratch_folder(tmp_path, "step") as folder:
        (folder / "part").write_text("half")
        assert folder.parent == tmp_path
    with pytest.raises(ValueError, match="odd"), scratch_folder(tmp_path, "step"):
        raise ValueError("odd")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_is_in_use_stays(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}is_afile").touch()
    with subprocess.Popen([sys.executable, "-c", HOLDS_ONE, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        held = Path(other.stdout.readline().strip())
        with scratch_folder(tmp_path, "step"):
            assert (held / "part").is_file()
        other.send_signal(signal.SIGKILL)
        other.wait()
    with scratch_folder(tmp_path, "other"):
        assert held.is_dir()
    with scratch_folder(tmp_path, "step"):
        assert not held.exists()
    assert [path.name for path in tmp_path.iterdir()] == [f"{PREFIX}is_afile"]


def test_a_persons_own_folder_of_a_similar_name_remains(tmp_path: Path) -> None:
    mine = [tmp_path / name / "a.jpg" for name in ("step-pictures", "step-photos", f"{PREFIX}photos-of-2025")]
    for photo in mine:
        photo.parent.mkdir()
        photo.touch()
    with scratch_folder(tmp_path, "step"):
        pass
    assert all(photo.is_file() for photo in mine)
