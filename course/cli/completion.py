"""`course completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from course.locale import gettext as _

SHELLS = {  # where each looks for completions
    "bash": "~/.local/share/bash-completion/completions/course",
    "zsh": "~/.zfunc/_course",
    "fish": "~/.config/fish/completions/course.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Let your shell complete what you type.

    Prints a script for your shell, after which Tab completes commands, lessons and exercises. Put it where the shell
    looks for such scripts, and open a new terminal:

    \b
      course completion bash > ~/.local/share/bash-completion/completions/course
      course completion zsh > ~/.zfunc/_course    with fpath+=(~/.zfunc) in ~/.zshrc
      course completion fish > ~/.config/fish/completions/course.fish

    The command itself writes nothing to disk.
    """
    kind = get_completion_class(shell)
    assert kind is not None  # click has all three
    click.echo(kind(context.find_root().command, {}, "course", "_COURSE_COMPLETE").source())
    click.echo(_("# To install it: course completion {shell} > {file}").format(shell=shell, file=SHELLS[shell]))
