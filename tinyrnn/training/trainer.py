"""The trainer: teacher forcing within a budget, validation after every epoch, the best model kept."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyrnn.nn.utils import clip_grad_norm_
from tinyrnn.optim import Adam
from tinyrnn.random import manual_seed
from tinyrnn.seq2seq.batching import bucketed_batches
from tinyrnn.seq2seq.model import Seq2Seq
from tinyrnn.training.callbacks import Callback, HistoryFile, LossPlot
from tinyrnn.training.checkpoint import holds_model, prepare_directory, save_checkpoint
from tinyrnn.training.config import TrainingConfig
from tinyrnn.training.data import EncodedPairs, Pair
from tinyrnn.training.evaluation import Evaluation, batch_loss


class TrainingError(RuntimeError):
    """Training that cannot go on; the message says at which step and why."""


class Trainer:
    """Trains a model on pairs of text.

    Validates after every epoch and when the budget is used up, and keeps the model with the lowest token error rate
    on the validation pairs, of equal ones that with the lowest loss.

    Parameters
    ----------
    model : Seq2Seq
        Is trained in place.
    config : TrainingConfig
    train_pairs, dev_pairs : sequence of (source, target)
    out_dir : path, optional
        Where the best model, ``history.jsonl`` and ``loss.png`` go; nothing is written if left out.
    callbacks : sequence of Callback
        Told what happens.
    overwrite : bool
        Allow an `out_dir` that holds a model. It stays until the first validation of this run.

    Attributes
    ----------
    history : list of dict
        One entry per validation, the last one at the end. ``step`` and ``epoch`` (from 1, the last one maybe cut
        short), ``seconds`` since the start, ``train_loss`` (mean over the tokens since the last entry) and what
        `Evaluation` measures, ``target_tokens_per_second`` (labels that are not padding, over the time of all training
        steps), ``gradient_norm`` (before clipping, mean over the steps since the last entry), ``lr``. If training is
        interrupted between validations, a last entry without ``dev_...`` tells how far it came.
    best : dict or None
        The entry of the best model.
    saved : dict or None
        The entry of the model that this run has put into `out_dir`: the best one, or one saved at an interruption.

    Raises
    ------
    ValueError
        If there are no pairs.
    CheckpointError
        If `out_dir` cannot be written to, or holds a model and `overwrite` is False.
    """

    def __init__(
        self,
        model: Seq2Seq,
        config: TrainingConfig,
        train_pairs: Sequence[Pair],
        dev_pairs: Sequence[Pair],
        out_dir: str | os.PathLike[str] | None = None,
        callbacks: Sequence[Callback] = (),
        overwrite: bool = False,
    ) -> None:
        for name, pairs in (("train_pairs", train_pairs), ("dev_pairs", dev_pairs)):
            if not pairs:
                raise ValueError(f"{name}: expected at least one pair of source and target, got none")
        self.model = model
        self.config = config
        self.out_dir = None if out_dir is None else prepare_directory(out_dir, overwrite)
        self.callbacks = list(callbacks)
        if self.out_dir is not None:
            self.callbacks += [HistoryFile(self.out_dir), LossPlot(self.out_dir)]
        self.steps_per_epoch = math.ceil(len(train_pairs) / config.batch)
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] | None = None
        self.saved: dict[str, Any] | None = None
        self.step = self.epoch = 0
        self.last_loss = math.nan
        self._pairs = EncodedPairs(train_pairs, model)
        self._evaluate = Evaluation(dev_pairs, model)
        self._parameters = list(model.parameters())
        self._optimizer = Adam(self._parameters, lr=config.lr)
        self._meter = _Meter()
        self._started = perf_counter()

    @property
    def target_tokens_per_second(self) -> float:
        """Labels that are not padding, over the time of all training steps so far."""
        return self._meter.all_tokens / max(self._meter.seconds, 1e-9)

    def fit(self) -> list[dict[str, Any]]:
        """Train until the budget is used up, for one step at least.

        Returns
        -------
        list of dict
            The history.

        Raises
        ------
        TrainingError
            If the loss or a gradient is no longer finite. The best model so far stays.
        KeyboardInterrupt
            If the user asked for it. The best model so far stays; if there is none yet and `out_dir` holds no older
            one, the present weights are saved.
        """
        manual_seed(self.config.seed)
        rng = np.random.default_rng(self.config.seed)
        self._started = perf_counter()
        self._tell("on_start")
        try:
            while self.step == 0 or self._progress() < 1:
                self._train_epoch(rng)
                self._validate()
        except KeyboardInterrupt:
            self._save_interrupted()
            raise
        finally:
            self._tell("on_end")
        return self.history

    def _progress(self) -> float:
        return self.config.progress(self.step, self.steps_per_epoch, perf_counter() - self._started)

    def _train_epoch(self, rng: np.random.Generator) -> None:
        self.epoch += 1
        self.model.train()
        self._tell("on_epoch_start")
        try:
            for indices in bucketed_batches(self._pairs.lengths, self.config.batch, rng):
                self._train_step(indices, self.config.learning_rate(self._progress()))
                self._tell("on_step")
                if self._progress() >= 1:
                    break
        finally:
            self._tell("on_epoch_end")

    def _train_step(self, indices: npt.NDArray[np.int64], lr: float) -> None:
        started = perf_counter()
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        batch = self._pairs.batch(indices)
        loss = batch_loss(self.model, batch)
        self.last_loss = loss.item()
        if not math.isfinite(self.last_loss):
            raise self._diverged(f"loss is {self.last_loss}")
        self._optimizer.zero_grad()
        loss.backward()
        try:
            norm = float(clip_grad_norm_(self._parameters, self.config.clip, error_if_nonfinite=True))
        except RuntimeError as error:
            raise self._diverged("gradient norm is not finite") from error
        self._optimizer.step()
        self.step += 1
        self._meter.add(self.last_loss, norm, batch.size, perf_counter() - started, lr)

    def _diverged(self, what: str) -> TrainingError:
        named = self.model.named_parameters()
        bad = [name for name, p in named if p.grad is not None and not np.isfinite(p.grad.cpu().numpy()).all()]
        where = f"; first non-finite gradient: {bad[0]}" if bad else ""
        return TrainingError(
            f"step {self.step + 1}: the {what} (last gradient norm {self._meter.last_norm:.3g}, "
            f"lr {self.config.lr:g}{where}); train again with a lower lr"
        )

    def _validate(self) -> None:
        measured = self._evaluate(self.model)
        if not math.isfinite(measured["dev_loss"]):
            raise self._diverged(f"loss on the validation pairs is {measured['dev_loss']}")
        entry = self._entry(measured)
        self.history.append(entry)
        if self.best is None or _quality(entry) < _quality(self.best):
            self.best = entry
            self._save(entry)
        self._tell("on_validation")

    def _entry(self, measured: dict[str, float]) -> dict[str, Any]:
        meter = self._meter
        entry = {
            "step": self.step,
            "epoch": self.epoch,
            "seconds": perf_counter() - self._started,
            "train_loss": meter.loss / max(meter.tokens, 1),
            **measured,
            "target_tokens_per_second": self.target_tokens_per_second,
            "gradient_norm": meter.norm / max(meter.steps, 1),
            "lr": meter.lr,
        }
        meter.restart()
        return {name: round(value, 8) for name, value in entry.items()}

    def _save(self, entry: dict[str, Any]) -> None:
        if self.out_dir is not None:
            save_checkpoint(self.out_dir, self.model, recipe=self.config.to_json(), result=entry)
            self.saved = entry

    def _save_interrupted(self) -> None:
        if self._meter.steps:
            self.history.append(self._entry({}))
            if self.best is None and self.out_dir is not None and not holds_model(self.out_dir):
                self._save(self.history[-1])
        elif self.best is not self.saved and self.best is not None:
            # The interruption came while the best model was being saved: save it whole.
            self._save(self.best)

    def _tell(self, event: str) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self)


class _Meter:
    """Sums over the steps since the last entry of the history, and over all steps."""

    def __init__(self) -> None:
        self.all_tokens, self.seconds = 0, 0.0
        self.last_norm = self.lr = math.nan
        self.restart()

    def restart(self) -> None:
        self.loss, self.norm, self.tokens, self.steps = 0.0, 0.0, 0, 0

    def add(self, loss: float, norm: float, tokens: int, seconds: float, lr: float) -> None:
        self.loss += loss * tokens
        self.norm += norm
        self.tokens += tokens
        self.steps += 1
        self.all_tokens += tokens
        self.seconds += seconds
        self.last_norm, self.lr = norm, lr


def _quality(entry: dict[str, Any]) -> tuple[float, float]:
    return entry["dev_per"], entry["dev_loss"]
