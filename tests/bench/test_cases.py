"""What is measured: names, operation counts, and that the sides compute the same."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn.bench import SUITES, BenchError
from tinyrnn.bench.cases import DisagreementError, PairedCase, Setting, check_agreement
from tinyrnn.bench.peers import Peers
from tinyrnn.bench.suites import cases_of, packed
from tinyrnn.bench.suites.layers import KINDS, Shape, flops, our_layer
from tinyrnn.bench.timing import QUICK

CASES = cases_of([])
# One of every kind of work, at sizes that take no time.
SMALL = [
    case
    for text in (
        "recurrent B1 H64",
        "packed B8",
        "bidirectional B1 H64",
        "gemm 64x64x64",
        "gemm 8x100",
        "denormals",
        "call",
        "double RNN B1",
    )
    for case in cases_of([], text)
] + [case for case in cases_of(["long"]) if case.sizes.T == 100]


@pytest.fixture(scope="module")
def setting():
    """One thread for everybody, so that nobody waits for a busy core."""
    peers = Peers()
    before = tinyrnn.get_num_threads(), peers.torch and peers.torch.get_num_threads()
    peers.set_threads(1)
    yield Setting(1, QUICK, peers)
    tinyrnn.set_num_threads(before[0])
    if peers.torch is not None:
        peers.torch.set_num_threads(before[1])


def test_names_are_unique_and_every_suite_has_cases():
    names = [(case.suite, case.name) for case in CASES]
    assert len(set(names)) == len(names)
    assert list(dict.fromkeys(suite for suite, _ in names)) == list(SUITES)


def test_filters_take_words_in_any_order_and_case():
    found = cases_of(["recurrent"], "h512 TRAINING lstm")
    assert {case.name for case in found} == {"LSTM training B64 T50 I512 H512", "LSTM training B64 T8 I512 H512"}
    for suites, text in ((["recurent"], ""), ([], "nothing has this name")):
        with pytest.raises(BenchError, match="expected"):
            cases_of(suites, text)


@pytest.mark.parametrize("kind, gates", [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_operations_are_those_of_the_weights(kind, gates):
    shape = Shape(3, 5, 7, 11)
    for layers, directions in ((1, 1), (2, 2)):
        layer = our_layer(kind, shape, num_layers=layers, bidirectional=directions == 2)
        weights = sum(p.numel() for name, p in layer.named_parameters() if name.startswith("weight"))
        assert flops(kind, shape, "forward", layers, directions) == 2 * weights * 15
        assert flops(kind, shape, "training", layers, directions) == 6 * weights * 15
    assert flops(kind, shape, "forward", steps=2) == 2 * gates * 11 * 18 * 2


def test_packed_lengths_count_as_they_are():
    for case in packed.cases():
        assert case.lengths.min() >= 1 and case.lengths.max() <= case.sizes.T
        assert case.flops == flops(case.kind, case.sizes, case.work, steps=int(case.lengths.sum()))


@pytest.mark.parametrize("case", SMALL, ids=lambda case: f"{case.suite} {case.name}")
def test_sides_agree_with_pytorch(case, setting):
    pytest.importorskip("torch")
    outputs = {name: side.outputs() for name, side in case.sides(setting).items() if side.comparable}
    assert {"tinyrnn", "PyTorch"} <= outputs.keys()
    case.check(outputs)
    largest = np.abs(np.concatenate([np.ravel(each.detach().numpy()) for each in outputs["tinyrnn"]])).max()
    assert largest > 0.01, "zeros agree with anything"


@pytest.mark.parametrize("case", cases_of(["ops", "small"]), ids=lambda case: case.name)
def test_ops_agree_with_pytorch(case, setting):
    pytest.importorskip("torch")
    case.check({name: side.outputs() for name, side in case.sides(setting).items()})


@pytest.mark.parametrize("kind", KINDS)
def test_sides_agree_with_onnx_runtime(kind, setting):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    for case in cases_of(["recurrent", "step"], f"{kind} H64"):
        if case.work in ("forward", "call") and "B16" not in case.name:
            sides = {name: side.outputs() for name, side in case.sides(setting).items()}
            assert "ONNX Runtime" in sides
            case.check(sides)


# ---- disagreement ----


def outputs(**changed):
    good = {"h": np.array([[1.0, -2.0]]), "c": np.array([3.0])}
    return list({**good, **changed}.values())


def test_equal_outputs_agree_to_rounding():
    check_agreement({"tinyrnn": outputs(), "PyTorch": outputs(h=np.array([[1.0001, -2.0]]))})
    check_agreement({"tinyrnn": outputs(c=np.array([0.0])), "PyTorch": outputs(c=np.array([1e-36]))})


@pytest.mark.parametrize(
    "theirs, message",
    [
        (outputs(h=np.array([[1.01, -2.0]])), "output 0: tinyrnn and PyTorch differ by 0.01"),
        (outputs(c=np.array([3.1])), "output 1"),
        (outputs(c=np.array([np.nan])), "output 1"),
        (outputs(h=np.array([1.0, -2.0])), "shape"),
        (outputs()[:1], "2 arrays, PyTorch 1"),
    ],
)
def test_other_outputs_do_not(theirs, message):
    with pytest.raises(DisagreementError, match=message):
        check_agreement({"tinyrnn": outputs(), "PyTorch": theirs})
    if len(theirs) == 2 and theirs[0].ndim == 2:
        with pytest.raises(DisagreementError):  # whichever side is at fault
            check_agreement({"tinyrnn": theirs, "PyTorch": outputs()})


def test_a_case_whose_sides_disagree_is_not_timed(setting, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr("tinyrnn.bench.cases.measure", lambda *_: pytest.fail("timed"))
    case = cases_of(["recurrent"], "LSTM forward B1 H64")[0]
    assert isinstance(case, PairedCase)
    sides = case.sides(setting)
    weight = tinyrnn.zeros(1)
    sides["tinyrnn"] = type(sides["tinyrnn"])(lambda: [weight, weight, weight])
    monkeypatch.setattr(case, "sides", lambda _: sides)
    with pytest.raises(DisagreementError):
        case.measure(setting)
