"""``tinyrnn bench`` as people use it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import tinyrnn
from tinyrnn import cli
from tinyrnn.bench import command, machine
from tinyrnn.bench.cases import DisagreementError
from tinyrnn.bench.command import Options
from tinyrnn.bench.results import read
from tinyrnn.bench.suites.gemm import ProductCase

TINY = ("gemm", "--filter", "NN 64x64x64", "--quick", "--peers", "none")
ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(Path(tinyrnn.__file__).parents[1]),
    "PYTHONWARNINGS": "ignore:tinyrnn runs without its compiled kernels",
}


def run(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tinyrnn", "bench", *arguments],
        env=ENVIRONMENT, capture_output=True, encoding="utf-8", timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    code, out, err = run(*TINY, "--threads", "1", "--json", str(folder / "a.json"), "--report", str(folder / "a.md"))
    assert (code, err) == (0, "")
    return folder, out


def test_a_run_prints_the_machine_and_the_table(measured):
    _, out = measured
    assert machine.processor() in out and "GFLOP/s (" in out and "GB/s" in out
    header, row = (line for line in out.splitlines() if line.startswith(("case", "NN")))
    assert header.split()[:3] == ["case", "tinyrnn", "GFLOP/s"] and row.startswith("NN square 64x64x64")


def test_the_json_holds_every_sample(measured):
    folder, _ = measured
    results = read(str(folder / "a.json"))
    assert results.options["threads"] == results.options["threads_used"]["tinyrnn"] == 1
    (row,) = results.rows
    assert len(row.samples["tinyrnn"]) >= 3 and row.flops == 2 * 64**3 and row.peak > 1e8
    assert {"python", "numpy", "tinyrnn"} <= results.machine["versions"].keys()


def test_the_report_says_how_to_repeat_it(measured):
    folder, _ = measured
    report = (folder / "a.md").read_text()
    assert f"`tinyrnn bench {shlex.join(TINY)} --threads 1 " in report
    assert "| NN square 64x64x64 |" in report and machine.processor() in report


def test_a_run_is_compared_with_an_older_one(measured, tmp_path):
    folder, _ = measured
    data = json.loads((folder / "a.json").read_text())
    data["rows"][0]["samples"]["tinyrnn"] = [1e-9] * 3
    (tmp_path / "faster.json").write_text(json.dumps(data))
    code, out, err = run(*TINY, "--compare", str(tmp_path / "faster.json"))
    assert (code, err) == (0, "")
    assert "SLOWER" in out and "1 of 1 cases are more than 5% slower" in out


def test_a_picture(measured):
    pytest.importorskip("matplotlib")
    from tinyrnn.bench.plot import draw

    folder, _ = measured
    results = read(str(folder / "a.json"))
    results.rows[0].samples["PyTorch"] = [2 * each for each in results.rows[0].samples["tinyrnn"]]
    draw(results, str(folder / "a.png"))
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG")


def test_the_list_measures_nothing():
    code, out, err = run("recurrent", "--list", "--filter", "B24 forward")
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"recurrent: {kind} forward B24 T80 I200 H300" for kind in ("LSTM", "GRU", "RNN")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("recurent",), "SUITE: expected some of recurrent, packed"),
        (("--threads", "0"), "--threads: expected a whole number of at least 1, got '0'"),
        (("--threads", "two"), "--threads: expected a whole number of at least 1, got 'two'"),
        (("--filter", "no such case"), "--filter: expected words of some case's name"),
        (("--peers", "jax"), "--peers: expected some of torch,onnxruntime, or none, got 'jax'"),
        (("--device", "cuda"), "--device cuda: expected cpu"),
        (("--compare", "absent.json"), "absent.json: expected a file that 'tinyrnn bench --json' wrote"),
        (("--json", "absent/a.json"), "--json absent/a.json: expected a file in a directory that exists"),
        (("--report", "."), "--report .: expected a file"),
        (("--data", "x"), "--data and --twin: expected both or neither"),
        (("--data", "x", "--twin", "y"), "--data x: expected a directory with train.tsv"),
    ],
)
def test_bad_options(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        code = cli.main(["bench", *arguments])
    except SystemExit as end:  # of the parser
        code = end.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith("tinyrnn: error: ") and err.count("\n") == 1 and message in err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def quiet_machine(monkeypatch):
    """Options of a run that measures nothing of the machine."""
    monkeypatch.setattr(machine, "peak_flops", lambda *_: (1e9, "a guess"))
    monkeypatch.setattr(machine, "copy_bandwidth", lambda *_: 1e9)
    return {"quick": True, "peers": "none", "threads": tinyrnn.get_num_threads()}


def test_a_case_that_fails_costs_the_exit_code_but_not_the_others(quiet_machine, monkeypatch, tmp_path, capsys):
    def measure(case, setting):
        if case.kind == "NT":
            raise DisagreementError("output 0: tinyrnn and PyTorch differ by 1")
        return {"tinyrnn": [1.0, 1.0]}

    monkeypatch.setattr(ProductCase, "measure", measure)
    path = str(tmp_path / "a.json")
    assert command.run(Options(["gemm"], "square 64x64x64", json=path, **quiet_machine), "tinyrnn bench") == 1
    out = capsys.readouterr().out
    assert "1 of 3 cases failed:\n  gemm: NT square 64x64x64: DisagreementError: output 0" in out
    assert [row.kind for row in read(path).measured] == ["NN", "TN"]


def test_an_interrupted_run_keeps_what_it_has(quiet_machine, monkeypatch, tmp_path):
    def measure(case, setting):
        if case.kind == "TN":
            raise KeyboardInterrupt
        return {"tinyrnn": [1.0, 1.0]}

    monkeypatch.setattr(ProductCase, "measure", measure)
    path = str(tmp_path / "a.json")
    with pytest.raises(KeyboardInterrupt):
        command.run(Options(["gemm"], "square 64x64x64", json=path, **quiet_machine), "tinyrnn bench")
    assert [row.kind for row in read(path).rows] == ["NN", "NT"]


def test_a_suite_that_cannot_run_says_what_it_needs(quiet_machine, capsys):
    assert command.run(Options(["g2p"], **quiet_machine), "tinyrnn bench") == 0
    assert "g2p is skipped: it needs --data DIR" in capsys.readouterr().out


def test_missing_peers_are_named(monkeypatch):
    from tinyrnn.bench import peers

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(peers.importlib, "import_module", missing)
    found = peers.Peers()
    assert found.loaded == {}
    assert [sentence.split(" is ")[0] for sentence in found.missing] == ["PyTorch", "ONNX Runtime"]
