"""The fused sweep against ONNX Runtime, an independent implementation: peepholes, and both forms of the GRU."""

from __future__ import annotations

import numpy as np
import pytest
from sweep_cases import Call

from tinyrnn.kernels import cpu

onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")

# ONNX's order of gates, as numbers of ours: LSTM i o f g; GRU z r n.
ORDERS = {"RNN_TANH": [0], "RNN_RELU": [0], "LSTM": [0, 3, 1, 2], "GRU": [1, 0, 2], "GRU_RESET_BEFORE": [1, 0, 2]}


def reordered(array, order):
    """The gates of (G*H, ...) in another order."""
    return array.reshape(len(order), -1, *array.shape[1:])[order].reshape(array.shape)


def run_onnx(call):
    """(output (T, B, D*H), the final states (D, B, H)) of a dense call."""
    order, D, lstm = ORDERS[call.mode], len(call.sweeps), call.mode == "LSTM"
    fed = {"X": call.x.reshape(len(call.batch_sizes), call.B, -1)}
    fed["W"] = np.stack([reordered(s.weight_ih, order) for s in call.sweeps])
    fed["R"] = np.stack([reordered(s.weight_hh, order) for s in call.sweeps])
    biases = [[reordered(b, order) for b in (s.bias_ih, s.bias_hh)] for s in call.sweeps]
    fed["B"] = np.stack([np.concatenate(pair) for pair in biases])
    fed["h_0"] = np.stack([s.h_0 for s in call.sweeps])
    names = ["X", "W", "R", "B", "", "h_0"]
    if lstm:
        fed["c_0"] = np.stack([s.c_0 for s in call.sweeps])
        names.append("c_0")
        if call.sweeps[0].peephole is not None:
            fed["P"] = np.stack([s.peephole[[0, 2, 1]].ravel() for s in call.sweeps])  # i o f
            names.append("P")
    kind = call.mode.split("_")[0]
    attributes = {"hidden_size": call.H, "direction": "bidirectional" if D == 2 else "forward"}
    if kind == "GRU":
        attributes["linear_before_reset"] = int(call.mode == "GRU")
    elif kind == "RNN":
        attributes["activations"] = [call.mode.split("_")[1].capitalize()] * D
    outputs = ["Y", "Y_h", *(["Y_c"] if lstm else [])]
    float32 = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(kind, names, outputs, **attributes)],
        "layer",
        [onnx.helper.make_tensor_value_info(name, float32, array.shape) for name, array in fed.items()],
        [onnx.helper.make_tensor_value_info(name, float32, None) for name in outputs],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    output, *finals = session.run(None, fed)  # (T, D, B, H)
    return np.concatenate([output[:, d] for d in range(D)], axis=-1), finals


@pytest.mark.parametrize("mode", list(ORDERS))
@pytest.mark.parametrize("D", [1, 2])
@pytest.mark.parametrize(("T", "B", "I", "H"), [(1, 1, 3, 5), (7, 3, 4, 16), (5, 9, 20, 37)])
@pytest.mark.parametrize("peephole", [False, True])
def test_equal(mode, D, T, B, I, H, peephole):  # noqa: E741
    if peephole and mode != "LSTM":
        pytest.skip("an option of the LSTM")
    call = Call(mode, [T] * B, I=I, H=H, D=D, options=["peephole"] if peephole else [], dtype=np.float32, seed=H)
    output, finals, _ = call.forward(cpu, save=False)
    expected, expected_finals = run_onnx(call)
    np.testing.assert_allclose(output.reshape(T, B, -1), expected, atol=2e-5, rtol=2e-5)
    for number, right in enumerate(expected_finals):
        np.testing.assert_allclose(np.stack([each[number] for each in finals]), right, atol=2e-5, rtol=2e-5)
