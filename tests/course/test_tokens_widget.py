"""What tokenizers make of a text, as a figure and as a field to type into."""

import matplotlib
import pytest

matplotlib.use("Agg")
from transformers import BertTokenizerFast

from course.widgets import tokens

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "tiger", "un", "##happy", "<", "b", ">", "&"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    vocabulary = tmp_path_factory.mktemp("tokenizer") / "vocab.txt"
    vocabulary.write_text("\n".join(WORDS))
    return BertTokenizerFast(str(vocabulary))


def test_pieces_have_ids_and_special_ones_are_told_apart(tokenizer):
    assert tokens.pieces(tokenizer, "unhappy tiger") == [
        ("[CLS]", 2, True),
        ("un", 6, False),
        ("##happy", 7, False),
        ("tiger", 5, False),
        ("[SEP]", 3, True),
    ]


def test_what_is_typed_is_cut_anew(tokenizer):
    typed, cut = tokens.field("tiger", {"mine": tokenizer}).children
    assert "mine: 3 tokens, 2 of them special" in cut.value and ">5<" in cut.value
    typed.value = "unhappy"
    assert "mine: 4 tokens" in cut.value and "##happy" in cut.value and ">5<" not in cut.value
    typed.value = ""
    assert "mine: 2 tokens, 2 of them special" in cut.value


def test_what_is_typed_is_shown_as_text_and_not_as_markup(tokenizer):
    _typed, cut = tokens.field("<b>&", {"<i>": tokenizer}).children
    assert "<b>" not in cut.value and "<i>" not in cut.value
    assert all(f"<code>{sign}</code>" in cut.value for sign in ("&lt;", "b", "&gt;", "&amp;"))


def test_the_figure_has_a_box_for_every_piece_and_cuts_none_off(tokenizer):
    figure = tokens.tokens("unhappy tiger " * 12, {"mine": tokenizer, "again": tokenizer})
    for axis in figure.axes:
        assert (
            axis.get_title("left") == ("mine" if axis is figure.axes[0] else "again") + ": 38 tokens, 2 of them special"
        )
        assert len(axis.patches) == 38
        (low, high), (bottom, top) = axis.get_xlim(), axis.get_ylim()
        for box in axis.patches:
            assert low <= box.get_x() and box.get_x() + box.get_width() <= high
            assert top <= box.get_y() and box.get_y() + box.get_height() <= bottom
    dashed = [box for box in figure.axes[0].patches if box.get_linestyle() == "--"]
    assert len(dashed) == 2


def test_nothing_while_a_notebook_is_graded(monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert tokens.tokens("tiger", {"mine": None}) is None
