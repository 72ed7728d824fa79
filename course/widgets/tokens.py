"""What tokenizers make of a text: its pieces, their ids, and the special tokens that nobody typed."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course import plots
from course.locale import gettext as _
from course.locale import ngettext
from course.widgets import with_widget

WIDTH = 9.0  # inches of the figure
CHARACTER, GAP, MARGIN = 0.095, 0.06, 0.16  # inches: a letter of a piece, between two pieces, around one's letters
PIECE, SPECIAL = "#DCEBF5", plots.STYLES["partial"].colour


class Piece(NamedTuple):
    """A token as its tokenizer writes it, its id, and whether it is a special one."""

    text: str
    id: int
    special: bool


def pieces(tokenizer: Any, text: str) -> list[Piece]:
    """The tokens of `text`, those included that the tokenizer of transformers adds by itself."""
    ids = tokenizer(text)["input_ids"]
    special = set(tokenizer.all_special_ids)
    names = tokenizer.convert_ids_to_tokens(ids)
    return [Piece(name, token, token in special) for name, token in zip(names, ids, strict=True)]


def tokens(text: str, tokenizers: Mapping[str, Any]) -> Figure | None:
    """The text as each tokenizer cuts it, and below that the same with a field to type another text into.

    tokenizers: tokenizers of transformers under the names that are shown. Returns the figure of `text`; nothing while
    a notebook is graded. The field shows in a running notebook alone.
    """
    return with_widget(lambda: _draw(text, tokenizers), lambda: field(text, tokenizers))


def field(text: str, tokenizers: Mapping[str, Any]) -> Any:
    """The widget alone: a field for the text, and under it what every tokenizer makes of it, anew with each letter."""
    import ipywidgets

    typed = ipywidgets.Textarea(value=text, description=_("text"), rows=2, layout={"width": "100%"})
    cut = ipywidgets.HTML()

    def show(*_: object) -> None:
        cut.value = STYLE + "".join(
            _html(name, pieces(tokenizer, typed.value)) for name, tokenizer in tokenizers.items()
        )

    typed.observe(show, "value")
    show()
    return ipywidgets.VBox([typed, cut])


def _count(name: str, cut: list[Piece]) -> str:
    special = sum(piece.special for piece in cut)
    count = ngettext("{name}: {count} token", "{name}: {count} tokens", len(cut)).format(name=name, count=len(cut))
    return count + _(", {special} of them special").format(special=special) if special else count


STYLE = f"""<style>
.course-token {{ display: inline-block; margin: 2px; padding: 0 5px; border: 1px solid #56B4E9; border-radius: 3px;
  background: {PIECE}; color: #000; text-align: center; line-height: 1.35; white-space: pre; }}
.course-token.course-special {{ border: 2px dashed #444; background: {SPECIAL}; }}
.course-count {{ margin: 8px 2px 0; }}
.course-token code {{ background: none; color: inherit; }}
.course-token small {{ color: #333; }}
</style>"""


def _html(name: str, cut: list[Piece]) -> str:
    """Boxes that wrap like words; a special token has another colour and a dashed border, and says what it is."""
    boxes = []
    for piece in cut:
        look, title = ("course-special", _("special token")) if piece.special else ("", _("token"))
        boxes.append(
            f'<span class="course-token {look}" title="{escape(title)}"><code>{escape(piece.text)}</code><br>'
            f"<small>{piece.id}</small></span>"
        )
    return f'<div class="course-count">{escape(_count(name, cut))}</div><div>{"".join(boxes)}</div>'


def _draw(text: str, tokenizers: Mapping[str, Any]) -> Figure:
    cuts = {name: pieces(tokenizer, text) for name, tokenizer in tokenizers.items()}
    placed = {name: _places([piece.text for piece in cut]) for name, cut in cuts.items()}
    lines = [1 + max((line for line, *_ in places), default=0) for places in placed.values()]
    heights = [0.5 + 0.55 * count for count in lines]
    figure, axes = plots.panels(1, rows=len(cuts), width=WIDTH, height=sum(heights), height_ratios=heights)
    for axis, count, (name, cut) in zip(axes, lines, cuts.items(), strict=True):
        axis.set(xlim=(-0.02, WIDTH + 0.02), ylim=(count, 0), title=_count(name, cut))
        axis.axis("off")
        for piece, (line, left, width) in zip(cut, placed[name], strict=True):
            _box(axis, piece, line, left, width)
    return figure


def _places(words: list[str]) -> list[tuple[int, float, float]]:
    """For each word the line it stands on, where it begins and how wide its box is, in inches."""
    places, line, left = [], 0, 0.0
    for word in words:
        width = MARGIN + CHARACTER * max(len(word), 3)  # an id has up to five digits, in smaller letters
        if left and left + width > WIDTH:
            line, left = line + 1, 0.0
        places.append((line, left, width))
        left += width + GAP
    return places


def _box(axis: Axes, piece: Piece, line: int, left: float, width: float) -> None:
    from matplotlib.patches import Rectangle

    look: dict[str, Any] = (
        {"facecolor": SPECIAL, "edgecolor": "#444444", "linestyle": "--", "linewidth": 1.4}
        if piece.special
        else {"facecolor": PIECE, "edgecolor": "#56B4E9", "linewidth": 1.0}
    )
    axis.add_patch(Rectangle((left, line + 0.08), width, 0.8, **look))
    middle = left + width / 2
    axis.text(middle, line + 0.36, piece.text, ha="center", va="center", family="monospace", fontsize=10)
    axis.text(middle, line + 0.7, str(piece.id), ha="center", va="center", fontsize=8, color="#333333")
