"""`auth`; this file keeps Kaggle credentials in the vault and says which ones win. It never shows a secret."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autokaggle.cli import flags
from autokaggle.cli.program import Program
from autokaggle.errors import ActionNeeded, OutsideWorldError

if TYPE_CHECKING:
    from autokaggle.skills.competition.credentials import Credentials, Place
    from autokaggle.storage.secrets_vault import SecretsVault

VAULT = "vault"

offline_flag = click.option("--offline", is_flag=True, help="Do not try them with Kaggle.")


@click.group(no_args_is_help=False)
def auth() -> None:
    """Kaggle credentials."""


@auth.command()
@offline_flag
@flags.as_json
@click.pass_obj
def login(program: Program, /, offline: bool) -> None:
    """Keep Kaggle credentials in the vault.

    Asks for them without showing them, or reads them from stdin: a token, `username:key`, or what kaggle.json holds.
    Kaggle is asked first, and credentials that it refuses are not kept.
    """
    from autokaggle.skills.competition.credentials import TOKEN_PAGE, VAULT_ENTRY, read_credentials

    if sys.stdin.isatty():
        from getpass import getpass

        program.tell(f"Make a token at {TOKEN_PAGE}.")
        given = getpass("Token, or username:key: ", stream=sys.stderr).strip()
    else:
        given = sys.stdin.read().strip()
    if not given:
        raise ActionNeeded("No credentials were given.", f"Make a token at {TOKEN_PAGE} and try again.")
    kept, vault = read_credentials(given, "what was given"), _vault(program)
    account = kept.username if offline else _account(program, kept)
    vault.put(VAULT_ENTRY, given)
    winner = _survey(program)[0]
    if winner.name != VAULT:
        program.warn(f"The credentials from {winner.name} come first: remove them for those in the vault to count.")
    facts = {"form": kept.form, "account": account, "vault": str(vault.file)}
    program.answer(f"Kept: {_say(kept, account)}, in {vault.file}.", facts)


@auth.command()
@offline_flag
@flags.as_json
@click.pass_obj
def status(program: Program, /, offline: bool) -> None:
    """Show which credentials are used, and whose they are."""
    from autokaggle.skills.competition.credentials import HOW_TO_GET_THEM

    found = _survey(program)
    if not found:
        raise ActionNeeded("No Kaggle credentials were found.", HOW_TO_GET_THEM)
    first = found[0].credentials
    if first is None:
        raise ActionNeeded(found[0].problem, HOW_TO_GET_THEM)
    account = first.username if offline else _account(program, first)
    lines = [
        f"used: {found[0].name}: {_say(first, account)}",
        *(f"not used: {_say_place(place)}" for place in found[1:]),
    ]
    rows = [_facts(place) for place in found]
    rows[0]["account"] = account
    program.answer("\n".join(lines), {"credentials": rows})


@auth.command()
@flags.as_json
@click.pass_obj
def logout(program: Program, /) -> None:
    """Forget the credentials in the vault."""
    from autokaggle.skills.competition.credentials import VAULT_ENTRY

    was_there = _vault(program).remove(VAULT_ENTRY)
    left = [place.name for place in _survey(program)]
    said = "The vault has forgotten them." if was_there else "The vault held none."
    if left:
        said += f" Credentials elsewhere stay: {', '.join(left)}."
    program.answer(said, {"removed": was_there, "left": left})


def _vault(program: Program) -> SecretsVault:
    from autokaggle.storage.secrets_vault import SecretsVault

    return SecretsVault(program.settings().home)


def _survey(program: Program) -> tuple[Place, ...]:
    from autokaggle.skills.competition.credentials import survey_credentials

    return survey_credentials(program.settings().environment, Path.home(), _vault(program))


def _account(program: Program, credentials: Credentials) -> str:
    """Try the credentials with Kaggle and return whose they are; where Kaggle cannot be asked, what they say.

    Raises:
        ActionNeeded: Kaggle refuses them.
    """
    from autokaggle.skills.competition.kaggle_client import KaggleClient
    from autokaggle.skills.competition.retries import RetryPolicy

    patience = RetryPolicy(attempts=2)
    try:
        with closing(KaggleClient(program.settings().kaggle_url, credentials, retry=patience)) as client:
            return client.account() or credentials.username
    except OutsideWorldError as error:
        program.warn(f"They could not be tried: {error.message}")
        return credentials.username


def _facts(place: Place) -> dict[str, Any]:
    known = place.credentials
    return {
        "source": place.name,
        "form": known.form if known else None,
        "account": known.username if known else "",
        "problem": place.problem,
    }


def _say_place(place: Place) -> str:
    known = place.credentials
    return f"{place.name}: {_say(known, known.username)}" if known else place.problem


def _say(credentials: Credentials, account: str) -> str:
    from autokaggle.cli.text import harmless

    return credentials.form + (f" of {harmless(account)}" if account else "")
