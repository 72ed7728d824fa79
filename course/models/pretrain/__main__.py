"""The command: `python -m course.models.pretrain NAME`."""

from __future__ import annotations

from pathlib import Path

import click

from course.data.images import cache_folder
from course.models.pretrain import language, vision


@click.command()
@click.argument("name", type=click.Choice([*vision.RECIPES, *language.RECIPES]))
@click.option("--folder", type=click.Path(path_type=Path), help="Where to write; a cache folder of yours by default.")
@click.option("--quick", "small_run", is_flag=True, help="Little data, two epochs: does everything run here?")
def main(name: str, folder: Path | None, small_run: bool) -> None:
    """Pretrains the small model NAME and writes its weights and its card. Called again after a break, it goes on."""
    folder = folder or cache_folder().parent / "pretrain"
    figures = (vision if name in vision.RECIPES else language).pretrain(name, folder, small_run)
    click.echo(f"{name}, in {folder}: " + ", ".join(f"{key} {value:g}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
