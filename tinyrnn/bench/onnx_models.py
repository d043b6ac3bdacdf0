"""ONNX Runtime sessions of our recurrent layers."""

from __future__ import annotations

from typing import Any

from tinyrnn.interop.onnx_layers import attributes_of, recurrent_weights


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

    initializers = recurrent_weights(layer, ("_l0",))
    H, states = layer.hidden_size, layer._state_names
    fed = [f"initial_{state}" for state in states] if with_state else []
    returned = ["Y", *(f"Y_{state}" for state in states)]
    node = helper.make_node(kind, ["X", "W", "R", "B", "", *fed], returned, **attributes_of(layer))
    graph = helper.make_graph(
        [node],
        kind,
        [
            helper.make_tensor_value_info("X", TensorProto.FLOAT, ("T", "B", layer.input_size)),
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
