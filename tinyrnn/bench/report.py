"""The Markdown file: the machine, how it was measured, every table, and what is missed."""

from __future__ import annotations

from itertools import groupby

from tinyrnn.bench import SUITES, tables
from tinyrnn.bench.results import Results, Row
from tinyrnn.bench.summaries import summarize
from tinyrnn.bench.targets import verdicts

_METHOD = """\
All sides run in one process with the same weights and inputs, and it is checked first that they compute the same. They take
turns in random order, each after a pause of 20 ms and one untimed call; short calls are repeated within a sample. `ratio` is
the median of the paired ratios peer / tinyrnn, with quartiles: above 1 we are faster, or smaller. Times are medians. GFLOP/s
count two operations for every multiply-add of the matrix products and nothing else: a layer's forward pass is 2 G H (I + H)
for every step, row, layer and direction, with G gates (LSTM 4, GRU 3, RNN 1); training is forward and backward, to the
gradients of the input and of all weights, and counts three times that. Packed sequences count real steps only. `% peak` is
relative to the peak measured just before the suite. Memory, imports and whole programs are measured in fresh processes, in
turns as well. B batch, T steps, I input, H hidden."""


def markdown_report(measured: Results) -> str:
    """Everything that `measured` says, as a Markdown document."""
    lines = ["# Benchmarks", "", f"Made by `{measured.command}` on {measured.date}; the same command measures again.", ""]
    lines += [*_machine(measured), "", "## How", "", _METHOD, ""]
    lines += [*(f"- {note}" for note in measured.notes), ""] if measured.notes else []
    lines += _targets(measured.measured)
    header, rows = tables.summary_cells(summarize(measured.measured))
    lines += ["## Summary", "", *tables.markdown(header, rows), ""]
    for suite, group in groupby(measured.rows, key=lambda row: row.suite):
        lines += [f"## {suite}: {SUITES.get(suite, '')}", "", *_table(list(group)), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _machine(measured: Results) -> list[str]:
    about = measured.machine
    facts = {
        "processor": f"{about['processor']}, {about['cores']} cores, {about['system']}",
        "peak": f"{about['peak_flops'] / 1e9:.0f} GFLOP/s float32 ({about['peak_source']})",
        "copy bandwidth": f"{about['copy_bytes_per_second'] / 1e9:.1f} GB/s read and written",
        "versions": ", ".join(f"{name} {version}" for name, version in about["versions"].items()),
        "threads": ", ".join(f"{name} {count}" for name, count in measured.options["threads_used"].items()),
    }
    return [*tables.markdown(["machine", ""], [[name, text] for name, text in facts.items()]), "", "```text",
            about["configuration"], "```"]  # fmt: skip


def _targets(rows: list[Row]) -> list[str]:
    judged = verdicts(rows)
    if not judged:
        return []
    missed = [verdict for verdict in judged if not verdict.met]
    header, lines = tables.verdict_cells(judged)
    text = ["## Targets", "", *tables.markdown(header, lines), ""]
    if not missed:
        return [*text, "All targets are met.", ""]
    text += [f"Missed: {len(missed)} of {len(judged)}.", ""]
    for verdict in missed:
        where = f", at {verdict.where}" if verdict.where else ""
        wanted = f"{verdict.bound} {verdict.got:.3g} in place of {verdict.wanted:g}"
        text.append(f"- {verdict.label}: {wanted}{where} ({tables.miss(verdict)})")
    return [*text, ""]


def _table(rows: list[Row]) -> list[str]:
    peers = list(dict.fromkeys(peer for row in rows for peer in row.peers))
    return tables.markdown(tables.header(peers), [tables.cells(row, peers) for row in rows])
