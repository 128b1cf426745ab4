"""`completion`; this file gives the script that lets a shell complete commands and flags."""

from __future__ import annotations

import click

from autokaggle.cli.program import COMPLETION_VARIABLE, NAME

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash: eval "$(autokaggle completion bash)" in ~/.bashrc
    zsh:  eval "$(autokaggle completion zsh)" in ~/.zshrc
    fish: autokaggle completion fish > ~/.config/fish/completions/autokaggle.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    print(kind(context.find_root().command, {}, NAME, COMPLETION_VARIABLE).source())
