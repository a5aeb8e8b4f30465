"""Every command with its arguments, options and defaults, as click knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bakeoff.help_site.markdown import code, plain, table

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """# Command line

Generated from the commands themselves. [Commands](../commands.md) says in a line what each is for, and
what holds for all of them. Every command also takes `--help`.

"""


def cli_page(commands: click.Command) -> str:
    """Return the page of a command and everything below it.

    Args:
        commands: the group that `bakeoff` is.
    """
    context = click.Context(commands, info_name="bakeoff")
    return HEAD + "\n".join(_sections(commands, context, level=1))


def _sections(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    if level > 1:
        yield f"{'#' * min(level, 4)} `{context.command_path}`\n"
        for paragraph in (command.help or "").split("\n\n"):
            # click rewraps paragraphs for a terminal; \b at the start keeps the lines of one.
            lines = paragraph.removeprefix("\b\n")
            yield f"```text\n{lines}\n```\n" if lines != paragraph else plain(paragraph) + "\n"
        usage = " ".join(command.collect_usage_pieces(context))
        yield f"```text\n{context.command_path} {usage}\n```\n"
        yield table(("option", "value", "default", "meaning"), _options(command, context))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from _sections(below, click.Context(below, context, name), level + 1)


def _options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str, str, str]]:
    for option in command.params:
        if not isinstance(option, click.Option) or option.hidden:
            continue
        about = option.to_info_dict()
        names = ", ".join(code(name) for name in (*option.opts, *option.secondary_opts))
        value = "" if option.is_flag else code(option.make_metavar(context))
        again = " Can be repeated." if option.multiple else ""
        default = about["default"]
        shown = option.show_default if isinstance(option.show_default, str) else default
        hidden = shown in (None, False, (), []) or callable(default) or "UNSET" in repr(shown).upper()
        yield names, value, "" if hidden else code(str(shown)), plain(option.help or "") + again
