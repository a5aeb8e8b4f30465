"""`bakeoff completion`: what a shell needs to complete commands, options and names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script that completes commands, options, surfaces and experiments.

    In ~/.bashrc: eval "$(bakeoff completion bash)"; likewise with zsh in ~/.zshrc; fish reads it from
    ~/.config/fish/completions/bakeoff.fish.
    """
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  one of the three that click has
    script = kind(ctx.find_root().command, {}, "bakeoff", "_BAKEOFF_COMPLETE")
    click.echo(script.source_template % script.source_vars())
