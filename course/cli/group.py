"""What all commands of `course` have in common."""

from __future__ import annotations

from typing import Any

import click

from course.locale import gettext as _


class Course(click.Group):
    """Commands in the order they are written in, their help in the learner's language, and errors as sentences."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        for one in (cmd, *cmd.params):
            if getattr(one, "help", None):
                one.help = _(one.help)  # type: ignore[attr-defined]
        super().add_command(cmd, name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ImportError as error:
            raise click.ClickException(
                _("A package cannot be imported ({error}). `course doctor` says how to mend it.").format(error=error)
            ) from error
        except BrokenPipeError:  # whoever read this has read enough
            raise
        except OSError as error:
            about = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
            raise click.ClickException(_("The system refused. {about}").format(about=about)) from error
