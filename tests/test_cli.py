"""The command line as people use it: in a process of its own, with good and with bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tinyrnn
from tinyrnn import cli

PAIRS = [("".join(text), " ".join(text)) for text in ("a", "ab", "ba", "cab", "bb", "ccb", "acbb", "bca", "caca", "b")]
SMALL = ("--hidden", "8", "--embed", "6", "--layers", "1", "--target-unit", "word", "--epochs", "2", "--batch", "4")
Write = Callable[[str, bytes], str]


# -P and the path: the package under test, be it the checkout or installed, wherever the tests are run.
COMMAND = [sys.executable, "-P", "-m", "tinyrnn"]
ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(Path(tinyrnn.__file__).parents[1]),
    "PYTHONWARNINGS": "ignore:tinyrnn runs without its compiled kernels",  # what is tested does not depend on them
}


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([*COMMAND, *arguments], env=ENVIRONMENT, **{**pipes, "encoding": "utf-8", **options})


def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
    process = start(*arguments)
    out, err = process.communicate(stdin, timeout=120)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data file and a model trained with it."""
    path = tmp_path_factory.mktemp("cli")
    (path / "train.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in PAIRS))
    data = str(path / "train.tsv")
    code, out, err = run("train", data, "--dev", data, "--out", str(path / "model"), *SMALL)
    assert (code, err) == (0, "")
    (path / "out.txt").write_text(out)
    return path


def test_training_writes_a_model_and_tells_about_it(folder: Path) -> None:
    out = (folder / "out.txt").read_text()
    assert "10 pairs to train on, 10 to validate" in out
    assert [line.split()[:4] for line in out.splitlines() if line.startswith("epoch")] == [
        ["epoch", "1", "step", "3"],
        ["epoch", "2", "step", "6"],
    ]
    lines = out.splitlines()
    examples = lines[lines.index("source\tprediction\treference") + 1 :][: cli.EXAMPLES]
    assert all(line.count("\t") == 2 and tuple(line.split("\t")[::2]) in PAIRS for line in examples)
    for name in ("model.safetensors", "config.json", "history.jsonl"):
        assert (folder / "model" / name).stat().st_size
        assert str(folder / "model" / name) in lines[-1]
    config = json.loads((folder / "model" / "config.json").read_text())
    assert (config["model"]["hidden"], config["model"]["layers"], config["recipe"]["batch"]) == (8, 1, 4)
    assert config["model"]["max_length"] == 9
    assert len((folder / "model" / "history.jsonl").read_text().splitlines()) == 2


def test_predictions_come_one_line_each(folder: Path) -> None:
    texts = ["ab", "", "cab", "ab"]
    code, out, err = run("predict", str(folder / "model"), *texts)
    assert (code, err) == (0, "")
    assert [line.split("\t")[0] for line in out.splitlines()] == texts
    assert run("predict", str(folder / "model"), stdin="".join(f"{text}\r\n" for text in texts)) == (0, out, "")


def test_unknown_characters_are_noted_once(folder: Path) -> None:
    code, out, err = run("predict", str(folder / "model"), "aß", "ßb", "xy")
    assert code == 0
    assert [line.split("\t")[0] for line in out.splitlines()] == ["aß", "ßb", "xy"]
    assert err.splitlines() == [
        "tinyrnn: note: the model never saw 'ß' (in 'aß') and reads <unk>",
        "tinyrnn: note: the model never saw 'x', 'y' (in 'xy') and reads <unk>",
    ]


def test_version_and_help() -> None:
    assert run("--version") == (0, f"tinyrnn {tinyrnn.__version__}\n", "")
    code, out, err = run("train", "--help")
    assert (code, err) == (0, "")
    assert "(default: 256; dates: 64)" in " ".join(out.split())


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(name: str, data: bytes) -> str:
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    return write_file


def assert_fails(message: str, *arguments: str, code: int = 2, stdin: str = "") -> None:
    got = run(*arguments, stdin=stdin)
    assert got[0] == code, got
    assert got[2].startswith("tinyrnn: error: ") and got[2].count("\n") == 1, got
    assert message in got[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("teach",), "invalid choice: 'teach'"),
        (("train", "dates"), "the following arguments are required: --out"),
        (("train", "dates", "--out", "x", "--hidden", "0"), "--hidden: expected a whole number of at least 1, got '0'"),
        (("train", "dates", "--out", "x", "--hidden", "9" * 30), "--hidden: expected a whole number of at most 1048576"),
        (("train", "dates", "--out", "x", "--seed", str(2**64)), f"--seed: expected a whole number of at most {2**64 - 1}, "),
        (("train", "dates", "--out", "x", "--minutes", "nan"), "--minutes: expected a positive number, got 'nan'"),
        (("train", "dates", "--out", "x", "--cell", "qrnn"), "--cell: invalid choice: 'qrnn'"),
        (("train", "absent.tsv", "--out", "x"), "absent.tsv: expected a file"),
        (("predict", "absent"), "absent: expected the directory of a trained model"),
    ],
)
def test_bad_options(arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert_fails(message, *arguments)
    assert not list(tmp_path.iterdir())


def test_bad_data(write: Write, tmp_path: Path, folder: Path) -> None:
    out = ("--out", str(tmp_path / "out"))
    assert_fails("bad.tsv, line 2: expected", "train", write("bad.tsv", b"a\tb\nc\n"), *out)
    assert_fails("latin.tsv, line 1: expected UTF-8", "train", write("latin.tsv", b"\xe9\tb\n"), *out)
    assert_fails("one.tsv: data: expected at least 2", "train", write("one.tsv", b"a\tb\na\tc\n"), *out)
    assert_fails("gap.tsv, line 2: expected", "train", write("gap.tsv", b"a\tb\n\nc\td\n"), *out)
    assert_fails("empty.tsv: expected", "train", str(folder / "train.tsv"), "--dev", write("empty.tsv", b""), *out)
    assert not (tmp_path / "out").exists()


def test_bad_directories(folder: Path) -> None:
    train = ("train", str(folder / "train.tsv"), "--out")
    assert_fails("expected a directory to write to, got a file", *train, str(folder / "train.tsv"))
    assert_fails("expected a directory to write to, got 'Not a dir", *train, str(folder / "train.tsv" / "below"))
    before = (folder / "model" / "model.safetensors").read_bytes()
    assert_fails("expected a directory without a model", *train, str(folder / "model"), *SMALL)
    assert (folder / "model" / "model.safetensors").read_bytes() == before


def test_bad_models(folder: Path, tmp_path: Path) -> None:
    for name in ("model.safetensors", "config.json"):
        data = (folder / "model" / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) // 2])
        other = {"model.safetensors": "config.json", "config.json": "model.safetensors"}[name]
        (tmp_path / other).write_bytes((folder / "model" / other).read_bytes())
        assert_fails(f"{tmp_path / name}: expected", "predict", str(tmp_path), "ab")


def test_text_that_is_not_utf8(folder: Path) -> None:
    process = start("predict", str(folder / "model"), encoding=None)
    _, err = process.communicate(b"ab\n\xff\n", timeout=120)
    assert process.returncode == 2
    assert err.startswith(b"tinyrnn: error: stdin, line 2: expected UTF-8 text, got the byte 0xff")


def test_a_loss_that_is_not_finite(folder: Path, tmp_path: Path) -> None:
    arguments = ("train", str(folder / "train.tsv"), "--out", str(tmp_path / "out"), *SMALL, "--lr", "1e38")
    assert_fails("train again with a lower lr", *arguments, code=1)


@pytest.mark.parametrize("options", [("--lr", "1e12"), ("--minutes", "1e-10")])
def test_a_model_that_learned_nothing_is_not_praised(folder: Path, tmp_path: Path, options: tuple[str, str]) -> None:
    data = str(folder / "train.tsv")
    code, out, err = run("train", data, "--dev", data, "--out", str(tmp_path / "out"), *SMALL, *options)
    assert (code, err) == (0, "")
    assert "\nmodel: step " in out and "best model" not in out
    assert "is no better than the 1.95 of guessing among all tokens alike" in out


def test_a_model_that_learned_is_praised(folder: Path, tmp_path: Path) -> None:
    data = str(folder / "train.tsv")
    out = run("train", data, "--dev", data, "--out", str(tmp_path / "out"), *SMALL, "--epochs", "20", "--lr", "0.03")[1]
    assert "\nbest model: step " in out and "guessing" not in out


def test_sources_are_held_out_without_dev(folder: Path, tmp_path: Path) -> None:
    code, out, err = run("train", str(folder / "train.tsv"), "--out", str(tmp_path / "out"), *SMALL)
    assert (code, err) == (0, "")
    assert f"no --dev: 1 sources of {folder / 'train.tsv'} are held out" in out
    assert "9 pairs to train on, 1 to validate" in out


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(process.communicate())


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
def test_ctrl_c_ends_training_with_a_sentence(folder: Path, tmp_path: Path) -> None:
    directory = str(tmp_path / "out")
    process = start("train", str(folder / "train.tsv"), "--out", directory, *SMALL, "--epochs", "100000")
    wait_for_line(process, "epoch 2")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.startswith("tinyrnn: interrupted at step ") and err.count("\n") == 1
    assert f"{directory} holds the best model, of step " in err
    assert run("predict", directory, "ab")[0] == 0


def test_ctrl_c_while_modules_load_is_no_traceback() -> None:
    press = (
        "import sys\n"
        "class Press:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.startswith('tinyrnn.training'):\n"
        "            raise KeyboardInterrupt\n"
        "from tinyrnn.cli import main\n"
        "sys.meta_path.insert(0, Press())\n"
        "sys.exit(main(['predict', 'absent']))\n"
    )
    got = subprocess.run([sys.executable, "-P", "-c", press], env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (got.returncode, got.stdout, got.stderr) == (130, "", "tinyrnn: interrupted\n")


@pytest.mark.skipif(os.name != "posix", reason="redirections are those of a POSIX shell")
@pytest.mark.parametrize(
    ("redirection", "arguments", "expected"),
    [
        ("<&-", (), (2, "", "tinyrnn: error: stdin: expected lines to read, got a closed stream; ")),
        ("<&-", ("",), (0, "\t\n", "")),
        (">&-", ("ab",), (2, "", "tinyrnn: error: stdout: expected a stream to print predictions to, got a closed one; ")),
        ("2>&-", ("",), (0, "\t\n", "")),
        ("2>&-", ("--bad",), (2, "", "")),
    ],
)
def test_closed_streams(folder: Path, redirection: str, arguments: tuple[str, ...], expected: tuple[int, str, str]) -> None:
    command = [*COMMAND, "predict", str(folder / "model"), *arguments]
    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", *command]
    got = subprocess.run(shell, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (got.returncode, got.stdout) == expected[:2]
    assert got.stderr.startswith(expected[2]) and got.stderr.count("\n") == bool(expected[2])


@pytest.mark.skipif(os.name != "posix", reason="redirections are those of a POSIX shell")
def test_notes_do_not_go_to_stdout_where_stderr_is_closed(folder: Path) -> None:
    shell = ["sh", "-c", 'exec "$@" 2>&-', "sh", *COMMAND, "predict", str(folder / "model"), "z"]
    got = subprocess.run(shell, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert got.returncode == 0
    assert got.stdout.startswith("z\t") and got.stdout.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_an_error(folder: Path) -> None:
    with open("/dev/full", "w") as full:
        process = start("predict", str(folder / "model"), "ab", stdout=full)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, "tinyrnn: error: output: No space left on device\n")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_threads_are_as_many_as_asked_for(folder: Path, tmp_path: Path) -> None:
    def threads(count: str) -> int:
        out = str(tmp_path / count)
        process = start("train", str(folder / "train.tsv"), "--out", out, *SMALL, "--epochs", "100000", "--threads", count)
        wait_for_line(process, "epoch 2")
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        return int(status.split("Threads:")[1].split()[0])

    assert threads("1") == 1
    assert threads("2") > 1


def test_a_reader_that_leaves_early_is_no_error(folder: Path) -> None:
    process = start("predict", str(folder / "model"))
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate("ab\n" * 500, timeout=60)
    assert (process.returncode, err) == (1, "")


def test_dates_need_no_files(tmp_path: Path) -> None:
    started = time.monotonic()
    out_dir = str(tmp_path / "dates")
    code = cli.main(["train", "dates", "--out", out_dir, "--minutes", "0.01", "--hidden", "8", "--batch", "16"])
    assert code == 0
    assert time.monotonic() - started < 60
    assert len((tmp_path / "dates" / "history.jsonl").read_text().splitlines()) == 1


def test_the_seed_draws_the_dates_too() -> None:
    def read(seed: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        return cli._read_data(cli.parser().parse_args(["train", "dates", "--out", "x"]), seed)

    first, other = read(0), read(1)
    assert first == read(0)
    assert first[0] != other[0]
    assert first[1] == other[1], "models of different seeds are validated alike"


def test_the_recipe_is_the_default_the_tasks_or_what_is_given(tmp_path: Path) -> None:
    def recipe(*arguments: str) -> dict[str, Any]:
        return cli._recipe(cli.parser().parse_args(["train", *arguments, "--out", "x"]))

    assert recipe("file.tsv") == {**cli.RECIPE, "minutes": None}
    assert recipe("dates", "--hidden", "9") == {**cli.RECIPE, **cli.TASKS["dates"], "hidden": 9, "minutes": None}
    assert recipe("file.tsv", "--minutes", "2")["epochs"] is None
    assert recipe("file.tsv", "--minutes", "2", "--epochs", "3")["epochs"] == 3
    assert recipe("file.tsv", "--dropout", "0", "--seed", "0")["dropout"] == 0
