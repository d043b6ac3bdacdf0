"""What the command line takes: commands, options and their defaults."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn

from tinyrnn import __version__

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

# Sizes beyond it are mistakes; NumPy could not even say how much memory they need.
_WIDEST: Final = 2**20


def say(sentence: str) -> None:
    # print() would take stdout where stderr is closed.
    if sys.stderr is not None:
        print(f"tinyrnn: {sentence}", file=sys.stderr)


def fail(code: int, sentence: str) -> int:
    say(f"error: {sentence}")
    return code


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        sys.exit(fail(2, f"{message} (see {self.prog} --help)"))


def parser() -> argparse.ArgumentParser:
    root = _Parser(prog="tinyrnn", description="Train sequence models, and use them.", allow_abbrev=False)
    root.add_argument("--version", action="version", version=f"tinyrnn {__version__}", help="print the version and exit")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_predict(commands)
    _add_bench(commands)
    return root


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


def _add_predict(commands: Any) -> None:
    predict = commands.add_parser(
        "predict",
        allow_abbrev=False,
        help="use a trained model",
        description="Print a line text<TAB>prediction for each text.",
    )
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
