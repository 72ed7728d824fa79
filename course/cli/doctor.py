"""`course doctor`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from course.locale import gettext as _


@click.command()
@click.option("--json", "as_json", is_flag=True, help=_("Print the findings as JSON, for a script."))
def doctor(as_json: bool) -> None:
    """Look at this machine, and say how to mend it.

    Python and packages, memory and disk, JupyterLab and its extensions, the kernel, the GPU, the models and data that
    the course brings. It takes a few seconds, needs no network and changes nothing.

    \b
      course doctor

    Exit code 0 if all that the lessons need is here, else 1.
    """
    from course.learner.doctor import State, findings, shown

    try:
        from course.cli.terminal import console
    except ImportError:  # what is broken may be what draws
        as_json = True
    found = []
    for finding in findings():
        found.append(finding)
        if not as_json:
            console().print(shown(finding), crop=False)  # a command is to be copied whole
    missing = list(dict.fromkeys(finding.about for finding in found if finding.state is State.MISSING))
    if as_json:
        click.echo(json.dumps({"well": not missing, "findings": [asdict(finding) for finding in found]}, indent=1))
    else:
        click.echo()
        click.echo(
            _("What the lessons need is not all here: {names}.").format(names=", ".join(missing))
            if missing
            else _("Everything that the lessons need is here.")
        )
    sys.exit(bool(missing))
