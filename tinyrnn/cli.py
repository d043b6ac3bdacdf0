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
from typing import TYPE_CHECKING, Any, Final, NoReturn

from tinyrnn import __version__

if TYPE_CHECKING:
    from tinyrnn.seq2seq.model import Seq2Seq
    from tinyrnn.training.data import Pair
    from tinyrnn.training.trainer import Trainer

RECIPE: Final[dict[str, Any]] = {
    "source_unit": "char",
    "target_unit": "char",
    "embed": 128,
    "hidden": 256,
    "layers": 2,
    "cell": "lstm",
    "attention": "general",
    "dropout": 0.3,
    "batch": 64,
    "epochs": 10,
    "lr": 1e-3,
    "clip": 1.0,
    "seed": 0,
    "threads": None,
}
TASKS: Final[dict[str, dict[str, Any]]] = {
    # A model too small to gain from more threads than one.
    "dates": {"embed": 32, "hidden": 64, "layers": 1, "dropout": 0.0, "lr": 5e-3, "threads": 1},
}
"""Built-in tasks and what their recipes have different."""

DATES: Final = 25_000
"""Pairs of the task `dates` to train on: any number can be made; these give several validations in a minute."""
EXAMPLES: Final = 5

# Sizes beyond it are mistakes; NumPy could not even say how much memory they need.
_WIDEST = 2**20
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
        options = _parser().parse_args(argv)
        options.words = sys.argv[1:] if argv is None else list(argv)
        if options.command == "train" and argv is None:
            _set_threads(_recipe(options)["threads"])
        if options.command == "bench" and argv is None:
            _set_threads(options.threads)
        return _run(options)
    except KeyboardInterrupt as interrupt:
        _say(str(interrupt) or "interrupted")
        return 130


def _run(options: argparse.Namespace) -> int:
    from tinyrnn.seq2seq.pairs import DataError
    from tinyrnn.training.checkpoint import CheckpointError
    from tinyrnn.training.trainer import TrainingError

    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    code = 0
    try:
        code = options.run(options) or 0
        if sys.stdout is not None:
            sys.stdout.flush()
    except (UsageError, DataError, CheckpointError) as error:
        return _fail(2, str(error))
    except TrainingError as error:
        return _fail(1, str(error))
    except BrokenPipeError:
        # Whoever read our output has enough.
        _drop_unwritable_output()
        return 1
    except OSError as error:
        return _fail(1, f"{error.filename or 'output'}: {error.strerror or error}")
    except MemoryError:
        return _fail(1, "there is not enough memory; try a smaller --batch or --hidden")
    return code


def _say(sentence: str) -> None:
    # print() would take stdout where stderr is closed.
    if sys.stderr is not None:
        print(f"tinyrnn: {sentence}", file=sys.stderr)


def _fail(code: int, sentence: str) -> int:
    _say(f"error: {sentence}")
    return code


def _drop_unwritable_output() -> None:
    # What stdout did not take is still in its buffer, and Python would fail on it once more at exit.
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


# ---- options ----


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        sys.exit(_fail(2, f"{message} (see {self.prog} --help)"))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="tinyrnn", description="Train sequence models, and use them.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"tinyrnn {__version__}", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_predict(commands)
    _add_bench(commands)
    return parser


def _add_train(commands: Any) -> None:
    train = commands.add_parser(
        "train",
        allow_abbrev=False,
        help="train a model that turns sources into targets",
        description=(
            "Train an attention encoder-decoder on pairs of texts. DIR gets the model with the fewest token errors on "
            "the validation pairs (model.safetensors, config.json), history.jsonl with one line per validation, and "
            "loss.png where matplotlib is installed."
        ),
        epilog="The same --seed and --epochs give the same numbers; --minutes depends on how fast the machine is.",
    )
    train.set_defaults(run=_train)
    train.add_argument(
        "data", metavar="DATA", help="UTF-8 file of source<TAB>target lines, or a built-in task: " + ", ".join(TASKS)
    )
    train.add_argument("--dev", metavar="FILE", help="validation pairs; without it some sources of DATA are held out")
    train.add_argument("--out", metavar="DIR", required=True, help="where the model goes")
    train.add_argument(
        "--overwrite", action="store_true", help="replace the model in DIR, at the first validation of the new one"
    )
    for name, choices, text in (
        ("source_unit", ("char", "word"), "what sources are split into"),
        ("target_unit", ("char", "word"), "what targets are split into"),
        ("cell", ("lstm", "gru", "rnn"), "recurrent cell"),
        ("attention", ("general", "dot", "additive"), "how the decoder compares itself with the source"),
    ):
        train.add_argument(_flag(name), choices=choices, help=_help(name, text))
    for name, kind, metavar, text in (
        ("hidden", _whole(1, _WIDEST), "N", "size of the encoder's state in each direction; the decoder's is twice that"),
        ("layers", _whole(1), "N", "layers of the encoder and of the decoder"),
        ("embed", _whole(1, _WIDEST), "N", "size of the embeddings"),
        ("dropout", _share, "P", "dropout probability"),
        ("batch", _whole(1), "N", "pairs in a batch"),
        ("lr", _positive, "R", "learning rate of Adam, falling over the last two thirds of the budget"),
        ("clip", _positive, "R", "greatest norm of the gradients"),
        ("epochs", _whole(1), "N", "passes over DATA, if no --minutes are given"),
        ("seed", _whole(0, 2**64 - 1), "N", "seed of all random choices"),
        ("threads", _whole(1), "N", "threads to compute with"),
    ):
        train.add_argument(_flag(name), type=kind, metavar=metavar, help=_help(name, text))
    _add_device(train)
    train.add_argument(
        "--minutes", type=_positive, metavar="M", help="time to train for; with --epochs, what is used up first counts"
    )


def _add_device(command: Any) -> None:
    command.add_argument("--device", metavar="NAME", default="cpu", help="cpu, or cuda for an NVIDIA GPU (default: cpu)")


def _placed(model: Seq2Seq, device: str) -> Seq2Seq:
    try:
        return model.to(device)  # type: ignore[return-value]
    except RuntimeError as error:
        raise UsageError(f"--device: {error}") from None


def _add_predict(commands: Any) -> None:
    predict = commands.add_parser(
        "predict",
        allow_abbrev=False,
        help="use a trained model",
        description="Print a line text<TAB>prediction for each text.",
    )
    predict.set_defaults(run=_predict)
    predict.add_argument("directory", metavar="DIR", help="what 'tinyrnn train --out' wrote")
    predict.add_argument("texts", metavar="TEXT", nargs="*", help="a source; without any, the lines of stdin")
    _add_device(predict)


def _add_bench(commands: Any) -> None:
    from tinyrnn.bench import SUITES

    bench = commands.add_parser(
        "bench",
        allow_abbrev=False,
        help="measure the speed, beside PyTorch and ONNX Runtime where they are installed",
        description="Measure the machine and this library, beside the peers that are installed: in one process, in pairs.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="suites (all of them if none is named):\n"
        + "\n".join(f"  {name:14} {text}" for name, text in SUITES.items())
        + "\n\nexit code: 1 if a case failed or the two sides of one did not compute the same",
    )
    bench.set_defaults(run=_bench)
    bench.add_argument("suites", metavar="SUITE", nargs="*", help="what to measure")
    bench.add_argument("--filter", metavar="TEXT", default="", help="only cases whose names contain these words")
    bench.add_argument("--list", action="store_true", help="print the names of the cases and stop")
    bench.add_argument("--quick", action="store_true", help="a few rounds in place of many")
    bench.add_argument("--threads", type=_whole(1, 1024), metavar="N", help="threads of every side (default: all cores)")
    bench.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="what to measure on (default: cpu)")
    bench.add_argument(
        "--peers", metavar="NAMES", default="torch,onnxruntime", help="of torch,onnxruntime, or none (default: both)"
    )
    bench.add_argument("--json", metavar="FILE", help="write all samples there")
    bench.add_argument("--report", metavar="FILE.md", help="write all tables there, as Markdown")
    bench.add_argument("--plot", metavar="FILE.png", help="draw the ratios there (needs matplotlib)")
    bench.add_argument("--compare", metavar="OLD.json", help="compare with an earlier --json, and flag what got slower")
    bench.add_argument("--data", metavar="DIR", help="for g2p: a directory with train.tsv and dev.tsv")
    bench.add_argument("--twin", metavar="FILE.py", help="for g2p: the same recipe in PyTorch, FILE.py DIR MINUTES")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _help(name: str, text: str) -> str:
    others = "".join(f"; {task}: {recipe[name]}" for task, recipe in TASKS.items() if name in recipe)
    return f"{text} (default: {'all cores' if name == 'threads' else RECIPE[name]}{others})"


def _whole(least: int, greatest: int | None = None) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, got {text!r}")
        if greatest is not None and value > greatest:
            raise argparse.ArgumentTypeError(f"expected a whole number of at most {greatest}, got {text!r}")
        return value

    return parse


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _positive(text: str) -> float:
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text!r}")
    return value


def _share(text: str) -> float:
    value = _number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"expected a probability of at least 0 and below 1, got {text!r}")
    return value


def _set_threads(count: int | None) -> None:
    # The libraries below NumPy read these variables when they are loaded, and to import this package loads them: begin
    # the process anew. A program that calls main() has its own process and sets them itself.
    wanted = dict.fromkeys(_THREADS, str(count))
    if count is not None and not wanted.items() <= os.environ.items():
        os.environ.update(wanted)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


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
        _say(f"note: the model never saw {named} (in {text!r}) and reads <unk>")


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
