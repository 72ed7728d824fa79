"""A training run to watch: loss and accuracy grow epoch by epoch, and a button stops it.

The widget trains in a thread. A kernel hears no button while it runs a cell, so a run inside the cell could not be
stopped by one; beside the kernel it can. The price: it goes on while other cells run, it draws random numbers from
the same generators as they do, and to interrupt the kernel does not end it. The fixed figure is made inside the cell,
and there to interrupt the kernel is the way to stop: what has been trained until then is shown, and kept.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from tqdm import tqdm

from course import plots
from course.locale import gettext as _
from course.training import progress
from course.widgets import rate_slider, with_widget

# From a learning rate a run without end: after each epoch its mean loss in nats, and an accuracy as a fraction.
Start = Callable[[float], Iterator[tuple[float, float]]]
# Fills two axes with what runs have shown.
Draw = Callable[[Sequence[Axes], Sequence["Run"]], None]

WIDTH, HEIGHT = 9.0, 3.2  # inches
REDRAWN = 0.5  # seconds between two pictures: to draw one takes as long as a short epoch


@dataclass
class Run:
    """What a run has shown so far, epoch by epoch."""

    rate: float
    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)

    def add(self, loss: float, accuracy: float) -> None:
        self.loss.append(loss)
        self.accuracy.append(accuracy)


def training(start: Start, *, rates: Sequence[float], epochs: int, measured: str, top: float) -> Figure | None:
    """Runs at a few learning rates, and below that buttons that start others and stop them.

    start(rate) begins a training and trains one epoch each time that it is asked for the next: once nobody asks, the
    training has stopped, and its network is as the last epoch left it. rates: of the fixed figure. measured: what the
    accuracies are of, to stand at their axis; top: a loss in nats above which nothing is drawn. Returns the figure;
    nothing, and nothing is trained, while a notebook is graded. The buttons show in a running notebook alone.
    """

    def draw(axes: Sequence[Axes], runs: Sequence[Run]) -> None:
        _curves(axes, runs, measured, top)

    return with_widget(lambda: _figure(draw, start, rates, epochs), lambda: buttons(draw, start, rates[0], epochs))


def _figure(draw: Draw, start: Start, rates: Sequence[float], epochs: int) -> Figure:
    runs: list[Run] = []
    try:
        for rate in rates:
            runs.append(Run(rate))
            bar = progress(range(epochs), _("epochs at rate {rate:g}").format(rate=rate))
            for _epoch, seen in zip(bar, start(rate), strict=False):
                runs[-1].add(*seen)
    except KeyboardInterrupt:
        pass  # what there is by now is shown
    figure, axes = plots.panels(2, width=WIDTH, height=HEIGHT)
    draw(axes, runs)
    return figure


def buttons(draw: Draw, start: Start, rate: float, epochs: int) -> Any:
    """The widget alone: rate and epochs to choose, Train and Stop, a bar with the time left, and the curves.

    start, epochs: as for `training`, but five times as many epochs are set at first. The
    last few runs stay in the picture. An error of the training ends it and is said in words.
    """
    import ipywidgets

    style = {"style": {"description_width": "7em"}, "layout": {"width": "min(28em, 100%)"}}
    rates = rate_slider(rate, _("learning rate"), **style)
    length = ipywidgets.IntSlider(value=5 * epochs, min=1, max=20 * epochs, description=_("epochs"), **style)
    train = ipywidgets.Button(description=_("Train"), icon="play")
    stop = ipywidgets.Button(description=_("Stop"), icon="stop", disabled=True)
    bar = ipywidgets.IntProgress(value=0, min=0, max=epochs, layout={"width": "12em"})
    said = ipywidgets.Label(_("Not started yet."))
    picture = ipywidgets.Image(format="png", layout={"width": "auto", "max_width": "100%", "align_self": "flex-start"})
    stopped = threading.Event()
    runs: list[Run] = []

    def show() -> None:
        picture.value = _png(draw, runs)

    def follow(run: Run, wanted: int) -> None:
        began = drawn = time.monotonic()
        for done, seen in enumerate(islice(start(run.rate), wanted), start=1):
            run.add(*seen)
            now = time.monotonic()
            left = tqdm.format_interval((now - began) / done * (wanted - done))
            bar.value = done
            said.value = _("Epoch {done} of {wanted}, {left} left.").format(done=done, wanted=wanted, left=left)
            if now - drawn > REDRAWN:
                drawn = now
                show()
            if stopped.is_set():
                said.value = _("Stopped after epoch {done} of {wanted}.").format(done=done, wanted=wanted)
                return
        said.value = _("Done: {wanted} epochs in {time}.").format(
            wanted=wanted, time=tqdm.format_interval(time.monotonic() - began)
        )

    def work(run: Run, wanted: int) -> None:
        try:
            follow(run, wanted)
        except Exception as error:
            said.value = _("The training raised {name}: {error}").format(name=type(error).__name__, error=error)
        finally:
            show()
            train.disabled, stop.disabled = False, True

    def begin(_button: Any) -> None:
        train.disabled, stop.disabled = True, False
        stopped.clear()
        bar.value, bar.max = 0, length.value
        said.value = _("The first epoch is on its way.")
        runs.append(Run(rates.value))
        del runs[: -len(plots.LINES)]
        threading.Thread(target=work, args=(runs[-1], length.value), daemon=True).start()

    def end(_button: Any) -> None:
        stopped.set()
        said.value = _("Stopping after this epoch.")

    train.on_click(begin)
    stop.on_click(end)
    show()
    row = {"flex_flow": "row wrap", "align_items": "center"}
    return ipywidgets.VBox(
        [rates, length, ipywidgets.HBox([train, stop, bar, said], layout=row), picture], layout={"width": "100%"}
    )


def _png(draw: Draw, runs: Sequence[Run]) -> bytes:
    """The picture as PNG, drawn without pyplot, whose figures belong to the kernel's own thread."""
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    draw(list(figure.subplots(1, 2)), runs)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=plots.LOOK["figure.dpi"])
    return file.getvalue()


def _curves(axes: Sequence[Axes], runs: Sequence[Run], measured: str, top: float) -> None:
    left, right = axes
    for (colour, dash, marker), run in zip(plots.LINES, runs, strict=False):
        epochs = range(1, len(run.loss) + 1)
        every = max(1, len(epochs) // 20)
        look: dict[str, Any] = {
            "color": colour,
            "linestyle": dash,
            "marker": marker,
            "markevery": every,
            "markersize": 4,
        }
        left.plot(epochs, run.loss, label=_("rate {rate:.2g}").format(rate=run.rate), **look)
        right.plot(epochs, [100 * share for share in run.accuracy], **look)
    longest = max((len(run.loss) for run in runs), default=0)
    for axis in axes:
        axis.set(xlabel=_("epoch"), xlim=(0.5, max(longest, 5) + 0.5))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.set(ylabel=_("training loss (nats)"), ylim=(0, top))
    right.set(ylabel=measured, ylim=(0, 102))
    if runs:
        left.legend(fontsize=9)
