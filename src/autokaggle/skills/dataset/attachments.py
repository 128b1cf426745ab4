"""Images and documents beside the tables; this file ties folders of files to rows by the column that names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from autokaggle.records.data_profile import FileProfile
from autokaggle.skills.dataset.column_facts import Facts
from autokaggle.skills.dataset.data_files import Collection

Names = dict[str, set[str]]

FEWEST_FOUND = 0.8
MOST_NAMES_TRIED = 500


def tie_to_rows(
    collections: Sequence[Collection], train: Mapping[str, Facts], test: Mapping[str, Facts]
) -> list[FileProfile]:
    """Profile each folder of files; ``join_columns`` maps ``name``, or ``stem`` without suffix, to the naming column.

    A folder's own name comes with a slash at its end; ``rows`` counts its files.
    """
    profiles: list[FileProfile] = []
    known = {
        role: _names([one for one in collections if one.role == role]) for role in {one.role for one in collections}
    }
    for collection in collections:
        tie = _tie(collection, known[collection.role], train) or _tie(collection, known[collection.role], test)
        part, column = tie or ("", "")
        evidence = f"{len(collection.names)} {collection.suffix} files"
        if tie:
            evidence += f", named by {'the text of ' if part == 'name' else ''}{column!r}"
            evidence += "" if part == "name" else f" and {collection.suffix}"
        profiles.append(
            FileProfile(
                name=collection.folder or "./",
                role=collection.role,
                confidence=0.95 if tie else 0.5,
                evidence=evidence,
                format=collection.suffix.lstrip("."),
                rows=len(collection.names),
                join_columns={part: column} if tie else {},
            )
        )
    return profiles


def _tie(collection: Collection, everywhere: Names, facts: Mapping[str, Facts]) -> tuple[str, str] | None:
    own = _names([collection])
    for column, found in facts.items():
        if found.distinct < 2 or found.type == "TIMESTAMP":
            continue
        values = [PurePosixPath(_written(value)).name for value in list(found.counts)[:MOST_NAMES_TRIED]]
        for part in own:
            hits = sum(value in own[part] for value in values)
            # A table may list the files of several folders; a folder may hold files of several tables.
            is_own = hits > 1 and hits >= FEWEST_FOUND * min(len(values), len(own[part]))
            in_all = sum(value in everywhere[part] for value in values) if hits else 0
            if is_own or (in_all > 1 and in_all >= FEWEST_FOUND * len(values)):
                return part, column
    return None


def _names(collections: Sequence[Collection]) -> Names:
    names = {name for collection in collections for name in collection.names}
    return {"name": names, "stem": {PurePosixPath(name).stem for name in names}}


def _written(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
