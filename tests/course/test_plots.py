import matplotlib
import pytest
import torch

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from course import plots

METHODS = {"probe": [0.70, 0.74], "partial": [0.75, 0.76], "full": [0.76, 0.80], "scratch": [0.50, 0.61]}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def drawn(figure):
    figure.canvas.draw()
    return figure


def test_methods_can_be_told_apart_without_colour():
    styles = plots.STYLES.values()
    for property in ("colour", "marker", "hatch"):
        assert len({getattr(style, property) for style in styles}) == len(styles)


def test_comparison_shows_mean_and_spread_with_units():
    seconds = {name: [1.0, 3.0] for name in METHODS}
    memory = {name: [2_000_000, 2_000_000] for name in METHODS}
    figure = drawn(plots.compare_methods(METHODS, seconds, memory, chance=0.1))
    accuracy, time, megabytes = figure.axes
    assert [bar.get_width() for bar in accuracy.patches] == pytest.approx([72, 75.5, 78, 55.5])
    assert [bar.get_width() for bar in time.patches] == pytest.approx([2] * 4)
    assert [bar.get_width() for bar in megabytes.patches] == pytest.approx([2] * 4)
    assert [axis.get_xlabel() for axis in figure.axes] == ["accuracy (%)", "training time (s)", "memory of a step (MB)"]
    whiskers = [line.get_segments()[0] for line in accuracy.collections]
    assert whiskers[0][:, 0] == pytest.approx([72 - 2.828, 72 + 2.828], abs=0.01)


def test_every_figure_draws_and_names_its_axes():
    figures = [
        plots.drift(
            torch.zeros(1, 28, 28), [0, 1, 3], {"a": [1, 0.5, 0], "b": [0, 0.5, 1]}, [1, 2, 3, 4], [1, 2, 3, 4]
        ),
        plots.measured_and_law({"decay": ([1, 0.9], [1, 0.9])}, xlabel="steps", ylabel="weight"),
        plots.stage_costs(["stem", "head"], [1000, 10], [2_000_000, 1000]),
        plots.lines({"a": ([1, 2], [3, 4])}, xlabel="h", ylabel="error", level=(3.5, "half"), log=True),
        plots.paths([1, 60], {"momentum 0": [(10, 1), (5, 0)], "momentum 0.8": [(10, 1), (2, 0)]}),
        plots.learning_curves([10, 40], {"pixels": ("raw", [[0.2, 0.3], [0.5, 0.6]])}, chance=0.1),
        plots.gains({"10": (0.1, 0.05, 0.15), "40": (-0.1, -0.2, 0.0)}),
        plots.range_test([0.1, 1, 10], [[2, 1, 3], [2, 1, float("nan")]]),
        plots.by_step({"a": [0, 1], "b": [1, 0]}, xlabel="step", ylabel="factor"),
        plots.stage_values(["stem", "head"], {"rate": [0.1, 1], "step": [1, 2]}),
        plots.reported_and_true([10, 20], [0.8, 0.7], [0.6, 0.6]),
    ]
    for figure in figures:
        for axis in drawn(figure).axes:
            if axis.axison:
                assert axis.get_xlabel()


def test_photos_stand_under_their_titles():
    figure = drawn(plots.photos(torch.zeros(3, 1, 28, 28, dtype=torch.uint8), ["a", "b", "c"], columns=2))
    assert [axis.get_title() for axis in figure.axes] == ["a", "b", "c", ""]


def test_loops_beyond_the_top_are_named_and_not_drawn():
    loss = {"right": [[1.0, 0.5], [0.8, 0.7]], "wrong": [[9.0, 90.0], [8.0, 1e6]]}
    accuracy = {"right": [0.8, 0.9], "wrong": [0.1, 0.1], "measured wrongly": [0.7, 0.8]}
    figure = drawn(plots.compare_loops(loss, accuracy, chance=0.1, top=2.5, level=(1.46, "floor")))
    left, right = figure.axes
    right_line, wrong_line, *_ = left.lines
    assert list(right_line.get_ydata()) == pytest.approx([0.9, 0.6])
    assert all(value != value for value in wrong_line.get_ydata())
    legend = [text.get_text() for text in left.get_legend().get_texts()]
    assert legend == ["right", "wrong (above the top)", "floor"]
    assert [bar.get_width() for bar in right.patches] == pytest.approx([85, 10, 75])
    assert right.patches[0].get_facecolor() != right.patches[2].get_facecolor()


def test_plus_minus():
    assert plots.plus_minus([0.70, 0.74], 100) == "72.0 ± 2.8"


def test_accuracy_by_rate_shows_means_in_percent_and_the_time():
    runs = {name: {0.1: [0.1, 0.3], 0.01: [0.5, 0.7]} for name in plots.RATE_STYLES}
    seconds = {name: [4.0, 6.0] for name in runs}
    left, right = drawn(plots.accuracy_by_rate(runs, seconds, chance=0.1)).axes
    means = [line.lines[0].get_ydata() for line in left.containers]
    assert all(values == pytest.approx([60, 20]) for values in means) and len(means) == 3
    assert [bar.get_width() for bar in right.patches] == pytest.approx([5] * 3)
    assert (left.get_ylabel(), right.get_xlabel()) == ("accuracy (%)", "training time of a run (s)")


def test_ways_to_give_rates_can_be_told_apart_without_colour():
    styles = plots.RATE_STYLES.values()
    for property in ("colour", "marker", "hatch"):
        assert len({getattr(style, property) for style in styles}) == len(styles)


def test_a_band_spans_one_standard_deviation_either_way():
    figure = drawn(plots.learning_curves([10, 40], {"pixels": ("raw", [[0.2, 0.3], [0.5, 0.6]])}))
    (axis,) = figure.axes
    (line,) = axis.lines
    assert line.get_ydata() == pytest.approx([25, 55])
    band = axis.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((25 - 7.071, 55 + 7.071), abs=0.01)


def test_a_gain_stands_in_its_interval_in_points():
    (axis,) = drawn(plots.gains({"10": (0.1, 0.05, 0.15)})).axes
    interval, dot = axis.lines[:2]
    assert list(interval.get_xdata()) == pytest.approx([5, 15])
    assert list(dot.get_xdata()) == pytest.approx([10])
