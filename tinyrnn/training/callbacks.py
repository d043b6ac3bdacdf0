"""What a trainer tells while it works: progress bar, one line per validation, history file, loss curve."""

from __future__ import annotations

import json
import sys
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from tinyrnn.files import write_atomically

if TYPE_CHECKING:
    from tinyrnn.training.trainer import Trainer


class Callback:
    """Does nothing on any event; overwrite what you need. Each method gets the trainer, to read from."""

    def on_start(self, trainer: Trainer) -> None:
        """Training begins."""

    def on_epoch_start(self, trainer: Trainer) -> None:
        """An epoch begins."""

    def on_step(self, trainer: Trainer) -> None:
        """The weights were changed once."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """An epoch is over or was cut short; validation follows, unless training was interrupted or diverged."""

    def on_validation(self, trainer: Trainer) -> None:
        """The last entry of `trainer.history` is new."""

    def on_end(self, trainer: Trainer) -> None:
        """Training is over, whatever ended it."""


class ProgressBar(Callback):
    """A bar per epoch with the loss and the tokens per second, on stderr; nothing where that is no terminal."""

    _bar: tqdm | None = None

    def on_epoch_start(self, trainer: Trainer) -> None:
        """Show an empty bar."""
        if sys.stderr is not None and sys.stderr.isatty():
            self._bar = tqdm(total=trainer.steps_per_epoch, desc=f"epoch {trainer.epoch}", unit="batch", leave=False)

    def on_step(self, trainer: Trainer) -> None:
        """Move the bar."""
        if self._bar is not None:
            figures = {"loss": f"{trainer.last_loss:.3f}", "tokens/s": f"{trainer.target_tokens_per_second:.0f}"}
            self._bar.set_postfix(figures, refresh=False)
            self._bar.update()

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class Summary(Callback):
    """A line per validation, on stdout."""

    def on_validation(self, trainer: Trainer) -> None:
        """Print the line."""
        entry = trainer.history[-1]
        mark = "  best so far" if trainer.best is entry else ""
        print(
            f"epoch {entry['epoch']}  step {entry['step']}  {entry['seconds']:.0f} s  "
            f"loss {_short(entry['train_loss'])}  dev loss {_short(entry['dev_loss'])}  "
            f"token errors {entry['dev_per']:.2f} %  wrong {entry['dev_wer']:.2f} %  "
            f"{entry['target_tokens_per_second']:.0f} tokens/s{mark}",
            flush=True,
        )


def _short(loss: float) -> str:
    return f"{loss:.3f}" if loss < 1e6 else f"{loss:.3e}"


class HistoryFile(Callback):
    """``history.jsonl``: the trainer's history, one JSON object a line, written anew after every entry.

    The file of an earlier run stays as long as that run's model does: until this one has saved its own.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "history.jsonl"

    def on_validation(self, trainer: Trainer) -> None:
        """Write the file."""
        lines = "".join(json.dumps(entry) + "\n" for entry in trainer.history)
        write_atomically(self._path, lines.encode())

    def on_end(self, trainer: Trainer) -> None:
        """Write the file once more, for the entry of an interrupted training."""
        if trainer.saved is not None:
            self.on_validation(trainer)


class LossPlot(Callback):
    """``loss.png``: losses and error rates over the steps, drawn at the end; a note where matplotlib is missing.

    The picture of an earlier run stays as long as that run's model does.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "loss.png"
        self._losses: list[float] = []

    def on_step(self, trainer: Trainer) -> None:
        """Note the loss."""
        self._losses.append(trainer.last_loss)

    def on_end(self, trainer: Trainer) -> None:
        """Draw the picture, if there is a validation to show."""
        entries = [entry for entry in trainer.history if "dev_loss" in entry]
        if not entries or trainer.saved is None:
            return
        try:
            from matplotlib.figure import Figure
        except ImportError:
            self._path.unlink(missing_ok=True)  # beside this run's history, that of an earlier run would mislead
            if sys.stderr is not None:
                print(
                    f"tinyrnn: note: {self._path} is not drawn because matplotlib is missing: pip install 'tinyrnn[plot]'",
                    file=sys.stderr,
                )
            return
        write_atomically(self._path, _draw(self._losses, entries, Figure(figsize=(8, 4), layout="constrained")))


_POINTS = 200


def _draw(losses: list[float], entries: list[dict[str, Any]], figure: Any) -> bytes:
    left, right = figure.subplots(1, 2)
    # Single batches are noisy: each point of the curve is the mean of its share of them.
    shares = np.array_split(np.array(losses), min(_POINTS, len(losses)))
    left.plot(np.cumsum([len(share) for share in shares]), [share.mean() for share in shares], label="train")
    steps = [entry["step"] for entry in entries]
    left.plot(steps, [entry["dev_loss"] for entry in entries], marker="o", label="dev")
    right.plot(steps, [entry["dev_per"] for entry in entries], marker="o", label="tokens")
    right.plot(steps, [entry["dev_wer"] for entry in entries], marker="o", label="whole targets")
    for axes, title in ((left, "loss (nats per token)"), (right, "dev errors (%)")):
        axes.set(title=title, xlabel="step", xlim=(0, len(losses)))
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    return picture.getvalue()
