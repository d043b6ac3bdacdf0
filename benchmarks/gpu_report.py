"""A plugin of pytest for gpu.py: each test is a row as soon as it is done (see gpu_rows.py), those that have one are left out.

A row holds the test's name, whether it passed, what it said if not, its largest error, 1 being what is allowed (on_gpu.py),
and, of one that uses pytest-benchmark, its median time.
"""

from __future__ import annotations

import sys

import pytest
from gpu_rows import LOST, Rows, is_lost

_rows = Rows()


def pytest_configure(config):
    try:
        from hypothesis import Phase, settings
    except ImportError:
        return
    # A failing example is not made smaller, which could take minutes.
    settings.register_profile("gpu", phases=(Phase.explicit, Phase.generate), deadline=None, database=None)
    settings.load_profile("gpu")


def pytest_collection_modifyitems(config, items):
    done = _rows.read()
    left_out = [item for item in items if item.nodeid in done]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.nodeid not in done]


def pytest_runtest_logstart(nodeid, location):
    _rows.begin(nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" or report.failed:
        _rows.end(_row(item, report))
    elif report.skipped:
        _rows.end({"name": item.nodeid, "skipped": True})
    if report.failed and "cupy" in sys.modules and is_lost(sys.modules["cupy"]):
        pytest.exit("the GPU cannot be used by this process any more", LOST)
    return report


def _row(item, report):
    if report.skipped:
        return {"name": item.nodeid, "skipped": True}
    row = {"name": item.nodeid, "ok": report.passed, "seconds": round(report.duration, 3)}
    errors = getattr(sys.modules.get("on_gpu"), "errors", [])
    if errors:
        row["worst_error"] = max(errors)
        errors.clear()
    stats = getattr(item.funcargs.get("benchmark"), "stats", None)
    if stats:
        row["median_us"] = 1e6 * stats.stats.median
    if not report.passed:
        row["output"] = report.longreprtext[-3000:]
    return row
