"""The trainer: learns, keeps to its budget, keeps the best model, and tells the truth about it."""

from __future__ import annotations

import json
import math
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyrnn.random import manual_seed, rand
from tinyrnn.seq2seq import Codec, DataError, Seq2Seq, predict
from tinyrnn.training import (
    Callback,
    CheckpointError,
    Evaluation,
    ProgressBar,
    Summary,
    Trainer,
    TrainingConfig,
    TrainingError,
    hold_out,
    load_checkpoint,
)
from tinyrnn.training import checkpoint as checkpoint_module
from tinyrnn.training import trainer as trainer_module

TEXTS = ["a", "ab", "ba", "abc", "cab", "bb", "ccb", "acbb", "bca", "caca"]
COPY = [(text, text) for text in TEXTS]
FIELDS = [
    *("step", "epoch", "seconds", "train_loss", "dev_loss", "dev_per", "dev_wer", "dev_exact_match"),
    *("target_tokens_per_second", "gradient_norm", "lr"),
]


def make_model(**options: Any) -> Seq2Seq:
    manual_seed(3)
    codec = Codec.build(TEXTS, "char")
    return Seq2Seq(codec, codec, **{"embed": 8, "hidden": 16, "layers": 1, "dropout": 0.0, "max_length": 8, **options})


def make_trainer(out: Path | None = None, *callbacks: Callback, model: Seq2Seq | None = None, **config: Any) -> Trainer:
    config = {"epochs": 2, "batch": 4, **config}
    return Trainer(model or make_model(), TrainingConfig(**config), COPY, COPY, out, callbacks)


def read_history(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]


class Interrupt(Callback):
    """Presses Ctrl-C after so many steps."""

    def __init__(self, step: int) -> None:
        self.at = step

    def on_step(self, trainer: Trainer) -> None:
        if trainer.step == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("attention", ["general", "dot", "additive"])
def test_learns_to_copy(cell: str, attention: str) -> None:
    model = make_model(cell=cell, attention=attention)
    history = make_trainer(model=model, epochs=60, batch=5, lr=2e-2).fit()
    assert history[-1]["dev_exact_match"] == 100
    assert history[-1]["dev_per"] == history[-1]["dev_wer"] == 0
    assert history[-1]["dev_loss"] < 0.1 < history[0]["dev_loss"]
    assert predict(model, TEXTS) == TEXTS


def test_the_history_has_one_entry_per_epoch(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, epochs=3)
    history = trainer.fit()
    assert read_history(tmp_path) == history == trainer.history
    assert all(list(entry) == FIELDS for entry in history)
    assert [(entry["step"], entry["epoch"]) for entry in history] == [(3, 1), (6, 2), (9, 3)]
    assert all(0 < a["seconds"] < b["seconds"] for a, b in zip(history, history[1:], strict=False))
    picture = {"loss.png"} if find_spec("matplotlib") else set()
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "config.json", "history.jsonl"} | picture


def test_the_best_model_is_kept(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, epochs=6, lr=0.05)
    rates = iter([(50.0, 2.0), (40.0, 2.0), (40.0, 1.0), (45.0, 0.5), (40.0, 1.5), (41.0, 0.1)])
    weights: list[np.ndarray] = []

    def evaluate(model: Seq2Seq) -> dict[str, float]:
        per, loss = next(rates)
        weights.append(model.decoder.output.weight.detach().numpy().copy())
        return {"dev_loss": loss, "dev_per": per, "dev_wer": 0.0, "dev_exact_match": 0.0}

    trainer._evaluate = evaluate  # type: ignore[assignment]
    history = trainer.fit()
    assert trainer.best is history[2]
    model, config = load_checkpoint(tmp_path)
    assert config["result"] == history[2]
    assert config["recipe"]["lr"] == 0.05
    np.testing.assert_array_equal(model.decoder.output.weight.detach().numpy(), weights[2])
    assert not np.array_equal(weights[2], weights[5])


def test_the_figures_mean_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    norms: list[float] = []
    losses: list[float] = []
    clip = trainer_module.clip_grad_norm_

    def noted(parameters: Any, most: float, **options: Any) -> Any:
        norms.append(float(clip(parameters, most, **options)))
        return norms[-1]

    class Note(Callback):
        def on_step(self, trainer: Trainer) -> None:
            losses.append(trainer.last_loss)

    monkeypatch.setattr(trainer_module, "clip_grad_norm_", noted)
    trainer = make_trainer(None, Note(), batch=len(COPY), epochs=2)
    history = trainer.fit()
    tokens = sum(len(text) + 1 for text in TEXTS)
    assert trainer._meter.all_tokens == 2 * tokens
    assert [entry["train_loss"] for entry in history] == pytest.approx(losses, abs=1e-7)
    assert [entry["gradient_norm"] for entry in history] == pytest.approx(norms, abs=1e-7)
    assert history[0]["target_tokens_per_second"] >= tokens / history[0]["seconds"]


def test_one_seed_gives_the_same_numbers() -> None:
    drawn = iter([1, 2, 3, 4])

    def numbers(seed: int) -> list[dict[str, Any]]:
        trainer = make_trainer(model=make_model(dropout=0.3), seed=seed)
        rand(next(drawn))  # what else was drawn before has no influence
        history = trainer.fit()
        return [{k: v for k, v in e.items() if k not in ("seconds", "target_tokens_per_second")} for e in history]

    assert numbers(5) == numbers(5)
    assert numbers(5) != numbers(6)


def test_time_ends_training_inside_an_epoch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    now = 0.0

    class Clock(Callback):
        def on_step(self, trainer: Trainer) -> None:
            nonlocal now
            now += 7.0

    monkeypatch.setattr(trainer_module, "perf_counter", lambda: now)
    trainer = make_trainer(tmp_path, Clock(), epochs=None, minutes=0.5, batch=1)
    history = trainer.fit()
    assert [(entry["step"], entry["epoch"], entry["seconds"]) for entry in history] == [(5, 1, 35.0)]
    assert read_history(tmp_path) == history
    assert load_checkpoint(tmp_path)[1]["result"] == history[-1]


def test_a_real_minute_budget_is_kept() -> None:
    history = make_trainer(epochs=None, minutes=0.5 / 60).fit()
    assert 0.5 <= history[-1]["seconds"] < 5


@pytest.mark.parametrize("overwritten", [False, True])
def test_a_budget_too_small_for_a_step_gets_one(tmp_path: Path, overwritten: bool) -> None:
    if overwritten:
        make_trainer(tmp_path, seed=7).fit()
    config = TrainingConfig(minutes=1e-10, seed=8)
    trainer = Trainer(make_model(), config, COPY, COPY, tmp_path, overwrite=overwritten)
    assert [entry["step"] for entry in trainer.fit()] == [1]
    assert load_checkpoint(tmp_path)[1]["result"] == trainer.saved
    assert load_checkpoint(tmp_path)[1]["recipe"]["seed"] == 8


def test_the_learning_rate_falls_over_the_last_two_thirds() -> None:
    config = TrainingConfig(lr=1.0, epochs=3)
    rates = [config.learning_rate(progress) for progress in (0, 1 / 3, 0.5, 0.9, 1)]
    assert rates == pytest.approx([1, 1, 0.75, 0.15, 0.02])
    assert config.progress(15, 10, 1e9) == 0.5
    both = TrainingConfig(epochs=4, minutes=2)
    assert (both.progress(10, 10, 90), both.progress(30, 10, 30)) == (0.75, 0.75)
    assert TrainingConfig().epochs == 10
    assert TrainingConfig(minutes=1).epochs is None


def test_the_optimizer_follows_the_schedule() -> None:
    used: list[float] = []

    class Note(Callback):
        def on_step(self, trainer: Trainer) -> None:
            used.extend(group["lr"] for group in trainer._optimizer.param_groups)

    trainer = make_trainer(None, Note(), epochs=3, lr=0.1)
    history = trainer.fit()
    assert used == pytest.approx([trainer.config.learning_rate(step / 9) for step in range(9)])
    assert [entry["lr"] for entry in history] == pytest.approx([used[2], used[5], used[8]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 0}, "batch: expected a whole number of at least 1, got 0"),
        ({"epochs": 0}, "epochs: expected"),
        ({"epochs": 1.5}, "epochs: expected"),
        ({"minutes": 0}, "minutes: expected a positive number, got 0"),
        ({"lr": math.nan}, "lr: expected a positive number, got nan"),
        ({"clip": -1}, "clip: expected a positive"),
        ({"seed": -1}, "seed: expected"),
        ({"seed": 2**64}, "seed: expected at most 18446744073709551615, got 18446744073709551616"),
    ],
)
def test_bad_configs_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**options)


def test_pairs_are_needed() -> None:
    for pairs in ([], COPY), (COPY, []):
        with pytest.raises(ValueError, match="_pairs: expected at least one pair"):
            Trainer(make_model(), TrainingConfig(), *pairs)


def test_a_model_is_overwritten_only_on_demand(tmp_path: Path) -> None:
    make_trainer(tmp_path).fit()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(CheckpointError, match="expected a directory without a model"):
        make_trainer(tmp_path)
    trainer = Trainer(make_model(), TrainingConfig(seed=9), COPY, COPY, tmp_path, [Interrupt(1)], overwrite=True)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after == before, "the old model and its history stay until the new one is validated"
    Trainer(make_model(), TrainingConfig(seed=9), COPY, COPY, tmp_path, overwrite=True).fit()
    assert load_checkpoint(tmp_path)[1]["recipe"]["seed"] == 9


def test_an_interruption_keeps_the_best_model(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, Interrupt(5), epochs=9)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    history = read_history(tmp_path)
    assert [entry["step"] for entry in history] == [3, 5]
    assert list(history[1]) == [name for name in FIELDS if not name.startswith("dev_")]
    assert load_checkpoint(tmp_path)[1]["result"] == history[0] == trainer.best


def test_an_interruption_before_the_first_validation_saves_what_there_is(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, Interrupt(2))
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    model, config = load_checkpoint(tmp_path)
    assert config["result"]["step"] == 2
    weights = [each.decoder.output.weight.detach().numpy() for each in (model, trainer.model)]
    np.testing.assert_array_equal(*weights)


def test_an_interruption_while_saving_saves_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_trainer(tmp_path, seed=1).fit()
    write = checkpoint_module.write_atomically

    def interrupted(path: Path, data: bytes) -> None:
        if path.name == "config.json":
            monkeypatch.setattr(checkpoint_module, "write_atomically", write)
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(checkpoint_module, "write_atomically", interrupted)
    texts = ["xyz", "zyx"]
    codec = Codec.build(texts, "char")
    pairs = list(zip(texts, texts))
    model = Seq2Seq(codec, codec, embed=4, hidden=5, layers=1)
    trainer = Trainer(model, TrainingConfig(epochs=3), pairs, pairs, tmp_path, overwrite=True)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    assert trainer.saved is trainer.best is not None
    assert load_checkpoint(tmp_path)[1]["result"] == trainer.best
    assert read_history(tmp_path) == [trainer.best]


@pytest.mark.parametrize(("poison", "message"), [("loss", "loss is nan"), ("gradient", "gradient norm is not finite")])
def test_a_loss_that_is_not_finite_ends_training(tmp_path: Path, poison: str, message: str) -> None:
    model = make_model()
    weight = model.decoder.combine.weight

    class Poison(Callback):
        def on_step(self, trainer: Trainer) -> None:
            if trainer.step == 4:
                if poison == "loss":
                    weight.array[0, 0] = np.nan
                else:
                    weight.register_hook(lambda gradient: gradient * math.inf)

    trainer = make_trainer(tmp_path, Poison(), model=model, epochs=4)
    with pytest.raises(TrainingError, match=rf"^step 5: the {message} \(.*lower lr$") as caught:
        trainer.fit()
    assert "\n" not in str(caught.value)
    if poison == "gradient":
        assert "first non-finite gradient: decoder.combine.weight" in str(caught.value)
    assert load_checkpoint(tmp_path)[1]["result"] == trainer.best == read_history(tmp_path)[0]


def test_any_of_several_targets_counts_as_right() -> None:
    model = make_model()
    make_trainer(model=model, epochs=60, batch=5, lr=2e-2).fit()
    measured = Evaluation([("ab", "ba"), ("ab", "ab"), ("ba", "ab"), ("a", "a")], model)(model)
    assert measured["dev_exact_match"] == pytest.approx(200 / 3)
    assert measured["dev_wer"] == pytest.approx(100 / 3)
    assert measured["dev_per"] == pytest.approx(100 * 2 / 5)


def test_sources_are_held_out_with_all_their_rows() -> None:
    pairs = [(f"s{i % 50}", f"t{i}") for i in range(200)]
    train, dev = hold_out(pairs, seed=1)
    assert len({source for source, _ in dev}) == round(0.05 * 50)
    assert not {source for source, _ in train} & {source for source, _ in dev}
    assert sorted(train + dev) == sorted(pairs)
    assert hold_out(pairs, seed=1) == (train, dev) != hold_out(pairs, seed=2)
    assert len(hold_out([(str(i), "t") for i in range(50_000)])[1]) == 1000
    assert [len(side) for side in hold_out([("a", "t"), ("b", "t")])] == [1, 1]
    with pytest.raises(DataError, match="at least 2 different sources"):
        hold_out([("a", "t"), ("a", "u")])


def test_without_matplotlib_there_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    (tmp_path / "loss.png").write_bytes(b"the picture of an earlier run")
    make_trainer(tmp_path).fit()
    assert not (tmp_path / "loss.png").exists()
    noted = capsys.readouterr().err
    assert noted.count("\n") == 1 and "pip install 'tinyrnn[plot]'" in noted


def test_without_stderr_there_is_no_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setattr(sys, "stderr", None)
    make_trainer(tmp_path, ProgressBar()).fit()
    assert capsys.readouterr().out == ""


def test_the_summary_keeps_losses_short(capsys: pytest.CaptureFixture[str]) -> None:
    make_trainer(None, Summary(), lr=1e12).fit()
    line = capsys.readouterr().out.splitlines()[0]
    assert re.search(r"loss \d\.\d{3}e\+\d+  dev loss \d\.\d{3}e\+\d+  token", line), line
