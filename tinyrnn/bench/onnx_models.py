"""ONNX Runtime sessions of our recurrent layers."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

# (our name of the gate rows, in ONNX's order) as indices into ours: LSTM i f g o -> i o f c; GRU r z n -> z r h.
_GATES: Final = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}
_ATTRIBUTES: Final[dict[str, dict[str, Any]]] = {"LSTM": {}, "GRU": {"linear_before_reset": 1}, "RNN": {}}
_STATES: Final = {"LSTM": ("h", "c"), "GRU": ("h",), "RNN": ("h",)}


def session(onnxruntime: Any, kind: str, layer: Any, threads: int, with_state: bool = False) -> Any:
    """Make a session of a one-layer, one-direction `layer` of ours.

    Parameters
    ----------
    onnxruntime : module
    kind : "LSTM", "GRU" or "RNN"
    layer : nn.LSTM, nn.GRU or nn.RNN
        Gives the weights.
    threads : int
        Within an operator; operators run one after the other.
    with_state : bool
        The model takes ``initial_h`` (and ``initial_c``), each (1, B, H), beside ``X``, (T, B, I).

    Returns
    -------
    onnxruntime.InferenceSession
        Its outputs are Y, (T, 1, B, H), then the final states, (1, B, H).
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Its threads look for work for tens of milliseconds after a call, on the cores that the next side needs.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    model = _model(kind, layer, with_state).SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _model(kind: str, layer: Any, with_state: bool) -> Any:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = {name: parameter.detach().numpy() for name, parameter in layer.named_parameters()}
    states = _STATES[kind]
    initializers = {
        "W": _gates(kind, weights["weight_ih_l0"])[None],
        "R": _gates(kind, weights["weight_hh_l0"])[None],
        "B": np.concatenate([_gates(kind, weights["bias_ih_l0"]), _gates(kind, weights["bias_hh_l0"])])[None],
    }
    H = weights["weight_hh_l0"].shape[1]
    fed = [f"initial_{state}" for state in states] if with_state else []
    returned = ["Y", *(f"Y_{state}" for state in states)]
    node = helper.make_node(kind, ["X", "W", "R", "B", "", *fed], returned, hidden_size=H, **_ATTRIBUTES[kind])
    graph = helper.make_graph(
        [node],
        kind,
        [
            helper.make_tensor_value_info("X", TensorProto.FLOAT, ("T", "B", weights["weight_ih_l0"].shape[1])),
            *(helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, "B", H)) for name in fed),
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, "B", H) if number else ("T", 1, "B", H))
            for number, name in enumerate(returned)
        ],
        [numpy_helper.from_array(array, name) for name, array in initializers.items()],
    )
    # Versions that every ONNX Runtime of the last years reads.
    return helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def _gates(kind: str, rows: np.ndarray) -> np.ndarray:
    parts = np.split(rows, len(_GATES[kind]))
    return np.ascontiguousarray(np.concatenate([parts[gate] for gate in _GATES[kind]]))
