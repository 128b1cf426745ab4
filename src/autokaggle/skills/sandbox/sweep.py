"""Folders that untrusted code wrote; this file measures them, clears them of traps, and removes them.

Nothing here follows a link, opens a file's content, or needs memory that grows with the depth of a tree.
"""

# The os module, not pathlib: folders are walked by descriptor.
# ruff: noqa: PTH106, PTH208

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

DEEPEST = 32
LONGEST_PATH = 3000  # the kernel refuses paths beyond 4096 bytes, behind which files could hide from a walk
FOLDER_MODE, FILE_MODE = 0o700, 0o600
_BLOCK = 512


def measure(folders: Iterable[str], most_entries: int) -> tuple[int, int]:
    """Return the bytes on disk and the number of entries below ``folders``.

    Stops early beyond ``most_entries``; a tree deeper than any honest one counts as more than those.
    """
    size = entries = 0
    pending = [(folder, 0) for folder in folders]
    while pending:
        folder, depth = pending.pop()
        try:
            with os.scandir(folder) as listing:
                for entry in listing:
                    facts = entry.stat(follow_symlinks=False)
                    entries += 1
                    size += facts.st_blocks * _BLOCK
                    if stat.S_ISDIR(facts.st_mode):
                        pending.append((entry.path, depth + 1))
                    if entries > most_entries or depth >= DEEPEST or len(os.fsencode(entry.path)) > LONGEST_PATH:
                        return size, most_entries + 1
        except OSError:  # it was removed while being read
            continue
    return size, entries


def sweep(folder: Path, largest_file_bytes: int, mode: int = FOLDER_MODE) -> tuple[str, ...]:
    """Leave only plain folders and plain files in ``folder``, readable by the user alone.

    Removes links of both kinds, pipes, sockets, devices, files beyond ``largest_file_bytes``, names with control
    characters, and what lies too deep. The folder itself gets ``mode``: code may have given it any, and barred us.
    Returns a line on each removal.
    """
    removed: list[str] = []
    folder.chmod(FOLDER_MODE)
    for path, facts, reason in _walk(folder, largest_file_bytes):
        is_folder = stat.S_ISDIR(facts.st_mode)
        if reason is None:
            path.chmod(FOLDER_MODE if is_folder else FILE_MODE)
            continue
        removed.append(f"{ascii(str(path.relative_to(folder)))[1:-1]}: {reason}")
        remove_tree(path) if is_folder else path.unlink()
    folder.chmod(mode)
    return tuple(removed)


def is_swept(folder: Path, largest_file_bytes: int) -> bool:
    """Say whether ``sweep`` would leave all that is in ``folder`` as it is."""
    return all(
        reason is None
        and is_ours(facts)
        and stat.S_IMODE(facts.st_mode) == (FOLDER_MODE if stat.S_ISDIR(facts.st_mode) else FILE_MODE)
        for _, facts, reason in _walk(folder, largest_file_bytes)
    )


def is_ours(facts: os.stat_result) -> bool:
    """Say whether this user may change the permissions of what has these ``facts``."""
    return os.geteuid() in (0, facts.st_uid)


def _walk(folder: Path, largest_file_bytes: int) -> Iterator[tuple[Path, os.stat_result, str | None]]:
    """Yield what is in ``folder``, with the reason to remove it; enters folders that have none afterwards."""
    pending = [(folder, 0)]
    while pending:
        current, depth = pending.pop()
        with os.scandir(current) as listing:
            entries = list(listing)
        for entry in entries:
            facts = entry.stat(follow_symlinks=False)
            path = current / entry.name
            is_deep = depth >= DEEPEST or len(os.fsencode(entry.path)) > LONGEST_PATH
            reason = "too deep" if is_deep else _objection(entry.name, facts, largest_file_bytes)
            yield path, facts, reason
            if reason is None and stat.S_ISDIR(facts.st_mode):
                pending.append((path, depth + 1))


def _objection(name: str, facts: os.stat_result, largest_file_bytes: int) -> str | None:
    if not name.isprintable():
        return "control characters in the name"
    if stat.S_ISDIR(facts.st_mode):
        return None
    if stat.S_ISLNK(facts.st_mode):
        return "symbolic link"
    if not stat.S_ISREG(facts.st_mode):
        return "not a plain file"
    if facts.st_nlink > 1:
        return "hard link"
    if facts.st_size > largest_file_bytes:
        return f"larger than {largest_file_bytes} bytes"
    return None


def remove_tree(folder: Path | str) -> None:
    """Remove ``folder`` however deep it is: folders inside are moved up to the top first, then emptied there."""
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        pending = [name for name in os.listdir(top) if not _unlink(name, top)]
        while pending:
            name = pending.pop()
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
            try:
                for child in os.listdir(inner):
                    if not _unlink(child, inner):
                        moved = os.urandom(16).hex()
                        os.rename(child, moved, src_dir_fd=inner, dst_dir_fd=top)
                        pending.append(moved)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(folder)


def _unlink(name: str, folder: int) -> bool:
    """Remove a file; make a folder ready to be emptied and return False."""
    facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISDIR(facts.st_mode):
        os.chmod(name, 0o700, dir_fd=folder)
        return False
    os.unlink(name, dir_fd=folder)
    return True
