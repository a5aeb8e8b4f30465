"""Options that were spelled otherwise before 0.2.0: taken for one version, with a note on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class CommandWithOldOptions(click.Command):
    """A command that knows old spellings of its options; its help shows the new ones alone."""

    def __init__(self, *args: Any, old_options: Mapping[str, str], **options: Any) -> None:
        """Take what `click.Command` takes.

        Args:
            args: as there.
            old_options: new spelling of each old one, both with their dashes.
            options: as there.
        """
        super().__init__(*args, **options)
        self.old_options = old_options

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments as if they had the new spellings.

        Raises:
            click.UsageError: both spellings of one option.
        """
        return super().parse_args(ctx, list(self._respell(args)))

    def _respell(self, args: Sequence[str]) -> Iterator[str]:
        end = args.index("--") if "--" in args else len(args)  # what follows are no options
        names = {arg.partition("=")[0] for arg in args[:end]}
        for arg in args[:end]:
            old, equals, value = arg.partition("=")
            new = self.old_options.get(old)
            if new is None:
                yield arg
                continue
            if new in names:
                raise click.UsageError(f"{old} is the old name of {new}, must not be used beside it.")
            click.echo(f"{old} is called {new} now; the old name ends with 0.3.", err=True)
            yield new + equals + value
        yield from args[end:]
