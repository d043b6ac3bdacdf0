"""Training: the recipe, the trainer, what it tells, and models on disk.

>>> source, target = (Codec.build(texts, unit="char") for texts in zip(*pairs))  # doctest: +SKIP
>>> trainer = Trainer(Seq2Seq(source, target), TrainingConfig(epochs=5), pairs, dev_pairs, "runs/mine")  # doctest: +SKIP
>>> trainer.fit()  # doctest: +SKIP
>>> model, config = load_checkpoint("runs/mine")  # doctest: +SKIP
"""

from __future__ import annotations

from tinyrnn.training.callbacks import Callback, ProgressBar, Summary
from tinyrnn.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from tinyrnn.training.config import TrainingConfig
from tinyrnn.training.data import hold_out
from tinyrnn.training.evaluation import Evaluation
from tinyrnn.training.trainer import Trainer, TrainingError

__all__ = [
    "Callback",
    "CheckpointError",
    "Evaluation",
    "ProgressBar",
    "Summary",
    "Trainer",
    "TrainingConfig",
    "TrainingError",
    "hold_out",
    "load_checkpoint",
    "save_checkpoint",
]
