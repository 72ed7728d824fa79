"""Questions on definitions, SST-2 and SQuAD from local files in the hub's layout, and BERT cut in two."""

import builtins
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from course import plots, reading
from course.data import AssetError, definition_questions, review_sentences, squad
from course.data import reading as reading_data
from course.widgets import attention as attention_widget


def test_answers_stand_where_they_are_said_to_stand():
    data = definition_questions(60, test=30, entries=5, seed=3)
    assert len(data.train) == 60 and len(data.test) == 30
    for one in data.train + data.test:
        assert one.context[one.start :].startswith(one.answers[0])
        assert one.context.count(" is ") >= 5
    assert {one.kind for one in data.train} == set(data.kinds)


def test_the_kinds_ask_what_they_say():
    for one in definition_questions(90, entries=4).train:
        answer = one.answers[0]
        if one.kind == "what":
            assert one.question.startswith("What is ") and answer not in one.question
        elif one.kind == "means":
            definition = one.question.removeprefix("Which word means ").removesuffix("?")
            assert f"{answer} is {definition}." in one.context
        else:
            assert one.question.removeprefix("Which of these is ").removesuffix("?") in reading_data.CALLED.values()


def test_no_test_sentence_is_in_a_training_text():
    data = definition_questions(300, test=100, entries=4)
    seen = {sentence for one in data.train for sentence in one.context.split(". ")}
    assert not any(sentence in seen for one in data.test for sentence in one.context.split(". "))


def test_the_same_seed_asks_the_same():
    assert definition_questions(6, seed=1).train == definition_questions(6, seed=1).train
    assert definition_questions(6, seed=1).train != definition_questions(6, seed=2).train
    with pytest.raises(ValueError, match="12 entries"):
        definition_questions(1, entries=13)


def test_sets_from_a_hub_are_not_loaded_unasked():
    for load in (review_sentences, squad):
        with pytest.raises(AssetError, match="COURSE_SCALE=full"):
            load(full=False)


def test_without_datasets_a_sentence_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "datasets":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "datasets", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(AssetError, match=r"pip install"):
        squad(full=True)


@pytest.fixture
def offline_hub(tmp_path, monkeypatch):
    """Folders in the layout of the hub's data sets, and nothing fetched."""
    pytest.importorskip("datasets", reason="install it with pip install datasets")
    pandas = pytest.importorskip("pandas")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")

    def write(name, rows):
        folder = tmp_path / name / "data"
        folder.mkdir(parents=True)
        for split, some in rows.items():
            pandas.DataFrame(some).to_parquet(folder / f"{split}-00000-of-00001.parquet")
        monkeypatch.setattr(reading_data, name.upper(), str(folder.parent))

    return write


def test_sst2_as_the_hub_has_it(offline_hub):
    rows = [{"idx": 0, "sentence": "a fine film ", "label": 1}, {"idx": 1, "sentence": "dull ", "label": 0}]
    offline_hub("sst2", {"train": rows, "validation": rows[:1]})
    data = review_sentences(full=True)
    assert data.x_train == ["a fine film", "dull"] and data.y_train.tolist() == [1, 0]
    assert data.x_test == ["a fine film"] and data.y_test.dtype == torch.int64
    assert data.classes == ("negative", "positive")


def test_squad_as_the_hub_has_it(offline_hub):
    text = "Hammers were made of stone."
    rows = [
        {
            "id": "1",
            "title": "Hammer",
            "context": text,
            "question": " What were hammers made of?",
            "answers": {"text": ["stone", "of stone"], "answer_start": [21, 18]},
        }
    ]
    offline_hub("squad", {"train": rows, "validation": rows})
    (one,) = squad(full=True).test
    assert one.question == "What were hammers made of?" and one.answers == ("stone", "of stone")
    assert one.context[one.start :].startswith("stone")


def test_a_set_that_cannot_be_fetched_says_so(tmp_path, monkeypatch):
    pytest.importorskip("datasets", reason="install it with pip install datasets")
    monkeypatch.setattr(reading_data, "SQUAD", str(tmp_path / "nowhere"))
    with pytest.raises(AssetError, match="could not be fetched"):
        squad(full=True)


def small_bert():
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(vocab_size=30, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32)
    return BertModel(config).eval()


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_two_halves_are_the_whole(depth):
    model = small_bert()
    ids = torch.randint(1, 30, (2, 7))
    mask = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
    whole = model(input_ids=ids, attention_mask=mask).last_hidden_state
    front, back = reading.halves(model, depth)
    found = back(front(ids, mask), mask)
    expected = back.head(whole)
    torch.testing.assert_close(found[0], expected[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[1, :4], expected[1, :4], rtol=1e-4, atol=1e-5)
    assert len(model.encoder.layer) == 3


def test_spans_are_learnt_and_the_lower_half_stays():
    model = small_bert()
    front, back = reading.halves(model, depth=1)
    before = {name: tensor.clone() for name, tensor in front.model.encoder.layer[0].state_dict().items()}
    ids = [torch.randint(2, 30, (length,)) for length in (5, 8, 6, 7)]
    targets = torch.tensor([[1, 2], [3, 5], [0, 0], [4, 4]])
    rows = [front(one.unsqueeze(0), torch.ones(1, len(one), dtype=torch.int64))[0] for one in ids]
    settings = {"epochs": 60, "batch_size": 2, "lr": 3e-3, "head_lr": 3e-3, "seed": 0}
    losses = reading.train_spans(back, rows, targets, **settings)
    assert len(losses) == 120 and losses[-1] < 0.3 < losses[0]
    found = torch.stack([one.argmax(dim=0) for one in reading.span_logits(back, rows, batch_size=3)])
    assert torch.equal(found, targets)
    after = front.model.encoder.layer[0].state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_attention_is_drawn_and_not_while_grading(monkeypatch):
    weights = torch.rand(2, 3, 4, 4)
    figure = attention_widget.attention(list("abcd"), weights, shown=((0, 0), (1, 2)))
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["layer 1, head 1", "layer 2, head 3"]
    np.testing.assert_allclose(figure.axes[1].images[0].get_array(), weights[1, 2])
    sliders = attention_widget.sliders(list("abcd"), weights)
    assert [knob.max for knob in sliders.children[:3]] == [2, 3, 4]
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert attention_widget.attention(list("abcd"), weights) is None
    plt.close("all")


def test_who_looks_and_scores_are_drawn():
    figure = plots.who_looks({"one": (["a", "b"], [[True, False], [True, True]]), "two": (["a"], [[True]])})
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), [[1, 0], [1, 1]])
    figure = plots.scores_by_kind({"EM": {"what": [0, 1], "kind": [1, 1]}, "F1": {"what": [0.5, 1], "kind": [1]}})
    assert [round(bar.get_height()) for bar in figure.axes[0].patches] == [50, 100, 75, 100]
    plt.close("all")
