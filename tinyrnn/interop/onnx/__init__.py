"""Models of ours as ONNX files: `export`."""

from tinyrnn.interop.onnx import composed, elementwise, packing, reductions, shapes  # they fill the table of operations
from tinyrnn.interop.onnx.exporting import export

__all__ = ["export"]
