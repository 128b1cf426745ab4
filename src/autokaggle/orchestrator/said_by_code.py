"""What generated code said, as a language model may read it; this file takes out what it read from the data.

An error quotes the value that it is about, and code can be written to say any.
"""

from __future__ import annotations

from collections.abc import Sequence

from autokaggle.orchestrator.context import RunContext
from autokaggle.skills.dataset.personal_values import mask_values, personal_columns


def tellable(context: RunContext, texts: Sequence[str]) -> list[str]:
    """Return ``texts`` without personal data; with ``schema_only`` no more of them than the kinds of their errors.

    The tables are read for all texts at once: tell what there is in one call.
    """
    from autokaggle.skills.dialogue.code_requests import error_kinds

    if context.run.options.schema_only:
        return [error_kinds(text) for text in texts]
    tables = sorted(context.folder.tables.glob("*.parquet"))
    return mask_values(texts, tables, personal_columns(context.profile))
