"""The one door to Kaggle; this file finds credentials and opens the client that stages and commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autokaggle.config import Settings

if TYPE_CHECKING:
    from autokaggle.skills.competition.kaggle_client import KaggleClient


def open_kaggle(settings: Settings) -> KaggleClient:
    """Open Kaggle with the user's credentials.

    Raises:
        ActionNeeded: there are no credentials; the message says how to get them.
    """
    from autokaggle.skills.competition.credentials import find_credentials
    from autokaggle.skills.competition.kaggle_client import KaggleClient
    from autokaggle.storage.secrets_vault import SecretsVault

    credentials = find_credentials(settings.environment, Path.home(), SecretsVault(settings.home))
    return KaggleClient(settings.kaggle_url, credentials)
