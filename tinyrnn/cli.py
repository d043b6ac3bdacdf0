"""The command line: ``tinyrnn train``, ``tinyrnn predict`` and ``tinyrnn bench``.

Models and training are imported only after the options were understood, so that ``--help`` and mistyped options need not
wait for them.
"""

from __future__ import annotations

import argparse
import math
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from tinyrnn.cli_options import RECIPE, TASKS, fail, parser, say

if TYPE_CHECKING:
    from tinyrnn.seq2seq.model import Seq2Seq
    from tinyrnn.training.data import Pair
    from tinyrnn.training.trainer import Trainer

DATES: Final = 25_000
"""Pairs of the task `dates` to train on: any number can be made; these give several validations in a minute."""
EXAMPLES: Final = 5

_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class UsageError(ValueError):
    """Options or standard streams that cannot be used; the message says which and why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process if left out. Given arguments leave the number of threads as it is, because
        that can be chosen only before NumPy is loaded.

    Returns
    -------
    int
        Exit code: 0; 1 if something failed on the way; 2 if options, data or a model cannot be used; 130 if the user
        interrupted it. One sentence on stderr says what happened.
    """
    try:
        options = parser().parse_args(argv)
        options.words = sys.argv[1:] if argv is None else list(argv)
        if options.command == "train" and argv is None:
            _set_threads(_recipe(options)["threads"])
        if options.command == "bench" and argv is None:
            _set_threads(options.threads)
        return _run(options)
    except KeyboardInterrupt as interrupt:
        say(str(interrupt) or "interrupted")
        return 130


def _run(options: argparse.Namespace) -> int:
    from tinyrnn.seq2seq.pairs import DataError
    from tinyrnn.training.checkpoint import CheckpointError
    from tinyrnn.training.trainer import TrainingError

    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    code = 0
    try:
        code = COMMANDS[options.command](options) or 0
        if sys.stdout is not None:
            sys.stdout.flush()
    except (UsageError, DataError, CheckpointError) as error:
        return fail(2, str(error))
    except TrainingError as error:
        return fail(1, str(error))
    except BrokenPipeError:
        # Whoever read our output has enough.
        _drop_unwritable_output()
        return 1
    except OSError as error:
        return fail(1, f"{error.filename or 'output'}: {error.strerror or error}")
    except MemoryError:
        return fail(1, "there is not enough memory; try a smaller --batch or --hidden")
    return code


def _drop_unwritable_output() -> None:
    # What stdout did not take is still in its buffer, and Python would fail on it once more at exit.
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


# ---- threads and devices ----


def _set_threads(count: int | None) -> None:
    # The libraries below NumPy read these variables when they are loaded, and to import this package loads them: begin
    # the process anew. A program that calls main() has its own process and sets them itself.
    wanted = dict.fromkeys(_THREADS, str(count))
    if count is not None and not wanted.items() <= os.environ.items():
        os.environ.update(wanted)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _placed(model: Seq2Seq, device: str) -> Seq2Seq:
    try:
        return model.to(device)  # type: ignore[return-value]
    except RuntimeError as error:
        raise UsageError(f"--device: {error}") from None


# ---- train ----


def _train(options: argparse.Namespace) -> None:
    import numpy as np

    from tinyrnn.training import ProgressBar, Summary, Trainer, TrainingConfig
    from tinyrnn.training.checkpoint import prepare_directory

    recipe = _recipe(options)
    train_pairs, dev_pairs = _read_data(options, recipe["seed"])
    prepare_directory(options.out, options.overwrite)
    model = _placed(_build(train_pairs, recipe), options.device)
    budget = {name: recipe[name] for name in ("batch", "epochs", "minutes", "lr", "clip", "seed")}
    trainer = Trainer(
        model,
        TrainingConfig(**budget),
        train_pairs,
        dev_pairs,
        options.out,
        (ProgressBar(), Summary()),
        overwrite=options.overwrite,
    )
    size = sum(parameter.numel() for parameter in model.parameters())
    print(f"{len(train_pairs):,} pairs to train on, {len(dev_pairs):,} to validate, {size:,} parameters", flush=True)
    try:
        # What overflows here shows up in the loss, which the trainer looks at.
        with np.errstate(all="ignore"):
            trainer.fit()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_where_it_stopped(trainer, options.out)) from None
    if trainer.saved is not None:
        _show_result(trainer.saved, options.out, dev_pairs)


def _recipe(options: argparse.Namespace) -> dict[str, Any]:
    given = {name: value for name, value in vars(options).items() if name in RECIPE and value is not None}
    recipe = {**RECIPE, **TASKS.get(options.data, {}), "minutes": options.minutes, **given}
    if options.minutes is not None and options.epochs is None:
        recipe["epochs"] = None
    return recipe


def _read_data(options: argparse.Namespace, seed: int) -> tuple[list[Pair], list[Pair]]:
    from tinyrnn.seq2seq.dates import make_pairs
    from tinyrnn.seq2seq.pairs import DataError, read_pairs
    from tinyrnn.training.data import hold_out

    if options.data in TASKS:
        train_pairs, dev_pairs = make_pairs(DATES, seed)
    else:
        train_pairs, dev_pairs = read_pairs(options.data), []
    if options.dev is not None:
        return train_pairs, read_pairs(options.dev)
    if dev_pairs:
        return train_pairs, dev_pairs
    try:
        train_pairs, dev_pairs = hold_out(train_pairs, seed)
    except DataError as error:
        raise DataError(f"{options.data}: {error}, or give --dev FILE") from error
    print(f"no --dev: {len({source for source, _ in dev_pairs}):,} sources of {options.data} are held out to validate")
    return train_pairs, dev_pairs


def _build(pairs: Sequence[Pair], recipe: dict[str, Any]) -> Seq2Seq:
    from tinyrnn.random import manual_seed
    from tinyrnn.seq2seq import Codec, Seq2Seq

    source = Codec.build((text for text, _ in pairs), recipe["source_unit"])
    target = Codec.build((text for _, text in pairs), recipe["target_unit"])
    longest = max(len(target.encode(text)) for _, text in pairs)
    sizes = {name: recipe[name] for name in ("embed", "hidden", "layers", "cell", "attention", "dropout")}
    manual_seed(recipe["seed"])
    return Seq2Seq(source, target, **sizes, max_length=2 * longest + 1)


def _where_it_stopped(trainer: Trainer, directory: str) -> str:
    from tinyrnn.training.checkpoint import holds_model

    if trainer.saved is not None:
        kept = f"{directory} holds the {'best ' if trainer.best else ''}model, of step {trainer.saved['step']}"
    elif holds_model(directory):
        kept = f"{directory} holds the model of an earlier run"
    else:
        kept = "nothing was saved"
    return f"interrupted at step {trainer.step}; {kept}"


def _show_result(result: dict[str, Any], directory: str, pairs: Sequence[Pair]) -> None:
    from tinyrnn.seq2seq import group_references, predict
    from tinyrnn.training import load_checkpoint

    model, _ = load_checkpoint(directory)
    references = group_references(pairs)
    sources = list(references)[:: max(1, len(references) // EXAMPLES)][:EXAMPLES]
    print("\nsource\tprediction\treference")
    for source, prediction in zip(sources, predict(model, sources), strict=True):
        print(source, prediction, " | ".join(references[source]), sep="\t")
    guess = math.log(len(model.target))
    learned = result["dev_loss"] < guess
    print(
        f"\n{'best ' if learned else ''}model: step {result['step']}, {result['dev_per']:.2f} % of the tokens wrong, "
        f"{result['dev_exact_match']:.2f} % of the targets right"
    )
    if not learned:
        print(
            f"its loss on the validation pairs, {result['dev_loss']:.3g}, is no better than the {guess:.3g} of guessing among "
            "all tokens alike: train longer, or with a lower --lr"
        )
    names = ("model.safetensors", "config.json", "history.jsonl", "loss.png")
    written = [path for name in names if os.path.exists(path := os.path.join(directory, name))]
    print("written: " + " ".join(written))


# ---- predict ----


def _predict(options: argparse.Namespace) -> None:
    from tinyrnn.seq2seq import predict
    from tinyrnn.training import load_checkpoint

    if sys.stdout is None:
        raise UsageError("stdout: expected a stream to print predictions to, got a closed one; open it")
    if sys.stdin is None and not options.texts:
        raise UsageError("stdin: expected lines to read, got a closed stream; open it, or name texts after DIR")
    model, _ = load_checkpoint(options.directory)
    model = _placed(model, options.device)
    # A person who types waits for an answer to each line; files go faster in batches.
    size = 1 if not options.texts and sys.stdin.isatty() else 128
    told: set[str] = set()
    stream = iter(options.texts or _lines(sys.stdin.buffer))
    while texts := list(islice(stream, size)):
        for text in texts:
            _note_unknown(model, text, told)
        for text, prediction in zip(texts, predict(model, texts), strict=True):
            print(text, prediction, sep="\t")
        sys.stdout.flush()


def _lines(stream: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(stream, 1):
        try:
            yield line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise UsageError(
                f"stdin, line {number}: expected UTF-8 text, got the byte 0x{line[error.start]:02x}; convert it"
            ) from error


def _note_unknown(model: Seq2Seq, text: str, told: set[str]) -> None:
    unknown = [token for token in model.source.unknown(text) if token not in told]
    if unknown:
        told.update(unknown)
        named = ", ".join(map(repr, unknown))
        say(f"note: the model never saw {named} (in {text!r}) and reads <unk>")


# ---- bench ----


def _bench(options: argparse.Namespace) -> int:
    from dataclasses import fields

    from tinyrnn.bench import BenchError
    from tinyrnn.bench.command import Options, run

    chosen = Options(**{field.name: getattr(options, field.name) for field in fields(Options)})
    try:
        # a report names files, and not where they lie on somebody's machine
        words = [os.path.basename(word) if os.path.isabs(word) else word for word in options.words]
        return run(chosen, shlex.join(["tinyrnn", *words]))
    except BenchError as error:
        raise UsageError(str(error)) from error


COMMANDS: Final[dict[str, Callable[[argparse.Namespace], int | None]]] = {"train": _train, "predict": _predict, "bench": _bench}
