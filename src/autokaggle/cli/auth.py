"""`auth`; this file keeps Kaggle credentials in the vault and says which ones win. It never shows a secret."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autokaggle.cli.program import Json, Program
from autokaggle.errors import ActionNeeded

if TYPE_CHECKING:
    from autokaggle.skills.competition.credentials import Credentials
    from autokaggle.storage.secrets_vault import SecretsVault

app = typer.Typer(help="Kaggle credentials.", rich_markup_mode=None)


@app.command()
def login(context: typer.Context, json: Json = False) -> None:
    """Keep Kaggle credentials in the vault.

    Asks for them without showing them, or reads them from stdin: a token, `username:key`, or what kaggle.json holds.
    """
    from autokaggle.skills.competition.credentials import TOKEN_PAGE, VAULT_ENTRY, read_credentials

    program: Program = context.obj
    if sys.stdin.isatty():
        from getpass import getpass

        program.tell(f"Make a token at {TOKEN_PAGE}.")
        given = getpass("Token, or username:key: ", stream=sys.stderr).strip()
    else:
        given = sys.stdin.read().strip()
    if not given:
        raise ActionNeeded("No credentials were given.", f"Make a token at {TOKEN_PAGE} and try again.")
    credentials = read_credentials(given, "what was given")
    vault = _vault(program)
    vault.put(VAULT_ENTRY, given)
    winner = _all(program)[0]
    if winner.source != "vault":
        program.warn(f"The credentials from {winner.source} come first: remove them for those in the vault to count.")
    facts = {"form": credentials.form, "username": credentials.username, "vault": str(vault.file)}
    program.answer(f"Kept: {_say(credentials)}, in {vault.file}.", facts)


@app.command()
def status(context: typer.Context, json: Json = False) -> None:
    """Show which credentials are used."""
    from autokaggle.skills.competition.credentials import HOW_TO_GET_THEM

    program: Program = context.obj
    found = _all(program)
    if not found:
        raise ActionNeeded("No Kaggle credentials were found.", HOW_TO_GET_THEM)
    lines = [f"used: {found[0].source}: {_say(found[0])}"]
    lines += [f"not used: {other.source}: {_say(other)}" for other in found[1:]]
    rows = [
        {"source": one.source, "form": one.form, "username": one.username, "used": one is found[0]} for one in found
    ]
    program.answer("\n".join(lines), {"credentials": rows})


@app.command()
def logout(context: typer.Context, json: Json = False) -> None:
    """Forget the credentials in the vault."""
    from autokaggle.skills.competition.credentials import VAULT_ENTRY

    program: Program = context.obj
    was_there = _vault(program).remove(VAULT_ENTRY)
    left = [one.source for one in _all(program)]
    said = "The vault has forgotten them." if was_there else "The vault held none."
    if left:
        said += f" Credentials elsewhere stay: {', '.join(left)}."
    program.answer(said, {"removed": was_there, "left": left})


def _vault(program: Program) -> SecretsVault:
    from autokaggle.storage.secrets_vault import SecretsVault

    return SecretsVault(program.settings().home)


def _all(program: Program) -> list[Credentials]:
    from autokaggle.skills.competition.credentials import all_credentials

    return list(all_credentials(program.settings().environment, Path.home(), _vault(program)))


def _say(credentials: Credentials) -> str:
    from autokaggle.cli.text import harmless

    return credentials.form + (f" of {harmless(credentials.username)}" if credentials.username else "")
