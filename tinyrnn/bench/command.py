"""``tinyrnn bench``: options in, tables and files out."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from tinyrnn.bench import SUITES, BenchError, machine, results, tables
from tinyrnn.bench.cases import Case, Setting, columns
from tinyrnn.bench.peers import PEERS, Peers
from tinyrnn.bench.results import Results, Row
from tinyrnn.bench.suites import cases_of
from tinyrnn.bench.summaries import summarize
from tinyrnn.bench.targets import verdicts
from tinyrnn.bench.timing import FULL, QUICK

_PEAK_SECONDS = 0.5
_LOAD = 0.5  # beyond it something else was running


@dataclass(frozen=True)
class Options:
    """What the command line says, under the names of its options.

    Attributes
    ----------
    suites : list of str
        All of them if empty.
    filter : str
        Words that the names of cases contain.
    list : bool
        Only print the names.
    quick : bool
        A few rounds in place of many.
    threads : int, optional
        All cores that the process may use if left out.
    device : "cpu" or "cuda"
    peers : str
        Names separated by commas, or "none".
    json, plot, report : str, optional
        Files to write.
    compare : str, optional
        An older file of --json.
    data, twin : str, optional
        For the suite `g2p`.
    """

    suites: Sequence[str] = ()
    filter: str = ""
    list: bool = False
    quick: bool = False
    threads: int | None = None
    device: str = "cpu"
    peers: str = ",".join(PEERS)
    json: str | None = None
    plot: str | None = None
    report: str | None = None
    compare: str | None = None
    data: str | None = None
    twin: str | None = None


def run(options: Options, command: str) -> int:
    """Measure, print, write.

    Parameters
    ----------
    options : Options
    command : str
        How the user called it: written into the files.

    Returns
    -------
    int
        0; 1 if a case failed, or the two sides of one did not agree.

    Raises
    ------
    BenchError
        If an option or a file cannot be used; nothing has been measured then.
    """
    cases = cases_of(list(options.suites), options.filter)
    _check_files(options)
    if options.list:
        print("\n".join(f"{case.suite}: {case.name}" for case in cases))
        return 0
    old = None if options.compare is None else results.read(options.compare)
    threads = options.threads or machine.cores()
    peers = Peers(_peer_names(options.peers))
    setting = Setting(threads, QUICK if options.quick else FULL, peers, options.data, options.twin)
    measured = _start(setting, options, command)
    try:
        for row in _measure(cases, setting, measured.notes):
            measured.rows.append(row)
    finally:
        # What was measured until an interruption is worth keeping.
        _write(measured, options)
    _show(measured, old)
    return 1 if measured.failures else 0


def _check_files(options: Options) -> None:
    if options.device != "cpu":
        raise BenchError(f"--device {options.device}: expected cpu; python benchmarks/gpu.py in a checkout measures the GPU")
    for name in ("json", "plot", "report"):
        path = getattr(options, name)
        folder = os.path.dirname(path or "") or "."
        if path is not None and (os.path.isdir(path) or not os.access(folder, os.W_OK)):
            raise BenchError(f"--{name} {path}: expected a file in a directory that exists and can be written to")
    if options.plot is not None:
        from tinyrnn.bench.plot import require_matplotlib

        require_matplotlib()
    if (options.data is None) != (options.twin is None):
        raise BenchError("--data and --twin: expected both or neither: the suite g2p needs the data and the program")
    if options.data is not None and not os.path.isfile(os.path.join(options.data, "train.tsv")):
        raise BenchError(f"--data {options.data}: expected a directory with train.tsv and dev.tsv")
    if options.twin is not None and not os.path.isfile(options.twin):
        raise BenchError(f"--twin {options.twin}: expected a PyTorch program that trains on --data")


def _peer_names(text: str) -> list[str]:
    names = [] if text == "none" else text.split(",")
    for name in names:
        if name not in PEERS:
            raise BenchError(f"--peers: expected some of {','.join(PEERS)}, or none, got {name!r}")
    return names


def _start(setting: Setting, options: Options, command: str) -> Results:
    """Results without rows: the machine, measured, and what will be used; prints them."""
    used = setting.peers.set_threads(setting.threads)
    described = machine.describe(setting.threads, _PEAK_SECONDS)
    notes = list(setting.peers.missing)
    if described["load"] > _LOAD:
        notes.append(
            f"in the minute before, {described['load']:.1f} programs ran at once: they disturb the times if they still do"
        )
    measured = Results(
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=command,
        options={
            "threads": setting.threads,
            "threads_used": used,
            "quick": options.quick,
            "filter": options.filter,
            "effort": asdict(setting.effort),
        },
        machine=described,
        notes=notes,
        rows=[],
    )
    print("\n".join([*machine_lines(measured), *notes]), flush=True)
    return measured


def _measure(cases: list[Case], setting: Setting, notes: list[str]) -> Iterator[Row]:
    """Measure one case after the other, print each row as it comes; suites that cannot run leave a note."""
    for suite, group in groupby(cases, key=lambda case: case.suite):
        chosen = list(group)
        print(f"\n{suite}: {SUITES[suite]}", flush=True)
        missing = chosen[0].requirement(setting)
        if missing is not None:
            notes.append(f"{suite} is skipped: {missing}")
            print(notes[-1], flush=True)
            continue
        peak, _ = machine.peak_flops(setting.threads, _PEAK_SECONDS)
        yield from _measure_suite(chosen, setting, peak)


def _measure_suite(cases: list[Case], setting: Setting, peak: float) -> Iterator[Row]:
    peers = columns(cases[0], setting.peers)
    header = tables.header(peers)
    widths = [max(len(case.name) for case in cases), 9, 7, 6]
    for peer in peers:
        widths += [max(len(peer), 9), 6, 16]
    print(tables.aligned(header, [], widths)[0], flush=True)
    for case in cases:
        row = _measure_case(case, setting, peak)
        print(tables.aligned(header, [tables.cells(row, peers)], widths)[1], flush=True)
        yield row


def _measure_case(case: Case, setting: Setting, peak: float) -> Row:
    about: dict[str, Any] = {
        "suite": case.suite, "kind": case.kind, "work": case.work, "shape": case.shape, "unit": case.unit,
        "flops": case.flops, "peak": peak,
    }  # fmt: skip
    try:
        return Row(**about, samples=case.measure(setting))
    except Exception as error:  # one case that fails must not cost the hour of the others; the exit code tells
        return Row(**about, error=f"{type(error).__name__}: {error}".splitlines()[0])


def machine_lines(measured: Results) -> list[str]:
    """The machine, the versions and the threads, in a few lines."""
    about = measured.machine
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    threads = ", ".join(f"{name} {count}" for name, count in measured.options["threads_used"].items())
    return [
        f"{about['processor']}, {about['cores']} cores, {about['system']}",
        f"peak {about['peak_flops'] / 1e9:.0f} GFLOP/s ({about['peak_source']}), "
        f"copy {about['copy_bytes_per_second'] / 1e9:.1f} GB/s, float32, threads: {threads}",
        versions,
    ]


def _write(measured: Results, options: Options) -> None:
    if options.json is not None:
        measured.write(options.json)
    if options.report is not None:
        from tinyrnn.bench.report import markdown_report

        with open(options.report, "w", encoding="utf-8") as file:
            file.write(markdown_report(measured))
    if options.plot is not None:
        from tinyrnn.bench.plot import draw

        draw(measured, options.plot)


def _show(measured: Results, old: Results | None) -> None:
    rows = measured.measured
    for title, (header, lines) in (
        ("Summary: ratios peer / tinyrnn", tables.summary_cells(summarize(rows))),
        ("Targets", tables.verdict_cells(verdicts(rows))),
    ):
        if lines:
            print("\n".join(["", title, *tables.aligned(header, lines)]))
    if old is not None:
        from tinyrnn.bench.comparison import compare, comparison_lines

        print("\n".join(["", *comparison_lines(compare(old, measured))]))
    if measured.failures:
        print(f"\n{len(measured.failures)} of {len(measured.rows)} cases failed:")
        print("\n".join(f"  {row.suite}: {row.name}: {row.error}" for row in measured.failures))
