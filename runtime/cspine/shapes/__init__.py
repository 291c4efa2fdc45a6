"""Shapes of the tensors of an ONNX graph, without onnx."""
