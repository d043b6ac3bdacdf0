"""ONNX Runtime sessions of our recurrent layers."""

from __future__ import annotations

from typing import Any, Final

from tinyrnn.interop.onnx.graph import IR_VERSION, OPSET, onnx_package
from tinyrnn.interop.onnx.recurrent import onnx_weights

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
    onnx = onnx_package()
    helper, element = onnx.helper, onnx.TensorProto.FLOAT
    states = _STATES[kind]
    weights = onnx_weights(kind, layer, ["_l0"])
    H, features = layer.hidden_size, layer.input_size
    fed = [f"initial_{state}" for state in states] if with_state else []
    returned = ["Y", *(f"Y_{state}" for state in states)]
    options = {"linear_before_reset": 1} if kind == "GRU" else {}
    node = helper.make_node(kind, ["X", *weights, "", *fed], returned, hidden_size=H, **options)
    graph = helper.make_graph(
        [node],
        kind,
        [
            helper.make_tensor_value_info("X", element, ("T", "B", features)),
            *(helper.make_tensor_value_info(name, element, (1, "B", H)) for name in fed),
        ],
        [
            helper.make_tensor_value_info(name, element, (1, "B", H) if number else ("T", 1, "B", H))
            for number, name in enumerate(returned)
        ],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
