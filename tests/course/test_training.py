from collections import OrderedDict
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from course import training


@pytest.fixture
def clouds():
    """Three well separated clouds of 20 points in 4 dimensions, the last batch of 7 shorter than the others."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    centres = 4 * torch.eye(3, 4)
    return centres[labels] + torch.randn(60, 4, generator=generator), labels


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        OrderedDict(body=nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU()), head=nn.Linear(8, 3))
    )


def train(model, clouds, **more):
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=0.1, momentum=0.9)
    settings = {"epochs": 4, "batch_size": 7, "seed": 1, "test": clouds, **more}
    return training.fit(model, clouds, optimizer=optimizer, **settings)


def test_fit_learns_and_says_what_it_saw(clouds):
    history = train(network(), clouds)
    assert len(history.loss) == 4 * 9
    assert history.loss[-1] < 0.3 < history.loss[0]
    assert history.accuracy[-1] > 0.95
    assert len(history.accuracy) == 1
    assert history.seconds > 0
    assert history.memory > 0


def test_accuracy_is_measured_as_often_as_asked(clouds):
    assert len(train(network(), clouds, evaluate_every=1).accuracy) == 4
    assert len(train(network(), clouds, evaluate_every=3).accuracy) == 2
    assert train(network(), clouds, test=None).accuracy == []


def test_the_same_seed_gives_the_same_run(clouds):
    torch.rand(5)
    first = train(network(), clouds).loss
    torch.rand(3)
    assert train(network(), clouds).loss == first
    assert train(network(), clouds, seed=2).loss != first


def test_fit_does_not_touch_the_global_generator(clouds):
    model = network()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(model, clouds)
    assert torch.equal(torch.rand(3), expected)


def test_the_mode_is_the_callers_even_after_an_evaluation(clouds):
    """A frozen front in eval mode: its running statistics are those it had, to the bit."""
    model = network()
    model.body.requires_grad_(False)
    before = model.body[1].running_mean.clone()

    def keep(module):
        module.train()
        module.body.eval()

    train(model, clouds, set_mode=keep, evaluate_every=1)
    assert torch.equal(model.body[1].running_mean, before)
    assert model.head.training
    assert not model.body.training


def test_training_a_head_on_features_equals_training_it_in_place(clouds):
    """What `cut` and `predict` are for: a frozen front computed once gives the same head."""

    def frozen():
        model = network()
        model.body.requires_grad_(False)
        return model

    def keep(module):
        module.train()
        module.body.eval()

    whole = frozen()
    train(whole, clouds, set_mode=keep)
    parts = frozen()
    front, back = training.cut(parts)
    assert [len(front), len(back)] == [1, 1]
    train(back, (training.predict(front, clouds[0]), clouds[1]), test=None)
    torch.testing.assert_close(parts.head.weight, whole.head.weight)


def test_cut_of_a_model_that_is_all_frozen_or_all_trainable():
    model = network()
    assert [len(part) for part in training.cut(model)] == [0, 2]
    model.requires_grad_(False)
    assert [len(part) for part in training.cut(model)] == [2, 0]


def test_a_frozen_stage_behind_a_trainable_one_belongs_to_the_back():
    model = network()
    model.head.requires_grad_(False)
    assert [len(part) for part in training.cut(model)] == [0, 2]


def test_evaluate_puts_every_mode_back_and_changes_nothing(clouds):
    model = network()
    model.body[1].eval()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    accuracy = training.evaluate(model, clouds, batch_size=7)
    assert accuracy == (training.predict(model, clouds[0]).argmax(1) == clouds[1]).double().mean().item()
    assert model.training
    assert model.head.training
    assert not model.body[1].training
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_looking_at_memory_leaves_statistics_alone(clouds):
    model = network()
    model.train()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    training.memory_of_a_step(model, *clouds)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_refreshed_statistics_are_the_plain_mean_over_batches_and_eval_layers_keep_theirs(clouds):
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), nn.BatchNorm1d(4))
    model.train()
    model[2].eval()
    model[0].running_mean.fill_(7)
    training.refresh_statistics(model, clouds[0], batch_size=20)
    torch.testing.assert_close(model[0].running_mean, clouds[0].mean(0))
    variance = torch.stack([batch.var(0) for batch in clouds[0].split(20)]).mean(0)
    torch.testing.assert_close(model[0].running_var, variance)
    assert torch.equal(model[2].running_mean, torch.zeros(4))
    assert [layer.training for layer in model] == [True, True, False]
    assert model[0].momentum == 0.1


def test_mean_and_spread():
    mean, spread = training.mean_and_spread([1.0, 2.0, 3.0])
    assert (mean, spread) == (2.0, 1.0)
    assert training.mean_and_spread([4.0]) == (4.0, 0.0)


def test_no_progress_bar_where_nobody_watches(capfd):
    assert list(training.progress(range(3), "counting")) == [0, 1, 2]
    assert capfd.readouterr().err == ""


def test_a_notebook_keeps_one_line_of_text_as_its_bar(monkeypatch):
    shown = []

    class Line:
        def update(self, data, raw):
            shown.append(data["text/plain"])

    monkeypatch.setattr(training, "display", lambda *_, **__: Line())
    assert list(training.NotebookBar(range(3), desc="counting")) == [0, 1, 2]
    assert shown[-1].startswith("counting: 100%")
    assert "3/3" in shown[-1]


def test_the_bar_of_a_notebook_says_how_much_time_is_left(monkeypatch):
    monkeypatch.setattr(training, "display", lambda *_, **__: SimpleNamespace(update=lambda *_, **__: None))
    bar = training.NotebookBar(range(4), desc="seeds", initial=1)
    bar.start_t -= 20  # as if it had begun 20 seconds ago
    bar.update(1)
    said = str(bar)
    assert "2/4" in said and "00:20 gone, 00:40 left" in said and len(said) <= 70
