"""The process that `g2p` starts: trains with the default recipe for some seconds, prints target tokens per second."""

from __future__ import annotations

import json
import os
import sys
from time import perf_counter

from tinyrnn.random import manual_seed
from tinyrnn.seq2seq import Codec, Seq2Seq
from tinyrnn.seq2seq.pairs import read_pairs
from tinyrnn.training import Trainer, TrainingConfig
from tinyrnn.training.callbacks import Callback


class _TimeIsUpError(Exception):
    pass


class _Clock(Callback):
    """Ends the training without the validation that would follow."""

    def __init__(self, seconds: float) -> None:
        self._end = perf_counter() + seconds

    def on_step(self, trainer: Trainer) -> None:
        if perf_counter() > self._end:
            raise _TimeIsUpError


def main() -> None:
    order = json.loads(sys.argv[1])
    pairs = read_pairs(os.path.join(order["data"], "train.tsv"))
    source = Codec.build((text for text, _ in pairs), "char")
    target = Codec.build((text for _, text in pairs), "word")
    manual_seed(0)
    model = Seq2Seq(source, target)
    trainer = Trainer(model, TrainingConfig(minutes=order["seconds"] / 60 + 1), pairs, pairs[:1])
    trainer.callbacks.append(_Clock(order["seconds"]))
    try:
        trainer.fit()
    except _TimeIsUpError:
        print(trainer.target_tokens_per_second)


if __name__ == "__main__":
    main()
