"""Weights and models of other libraries: torch, keras, onnx."""
