"""A network as an FP32 ONNX graph: two exporters, one operator set, one form, fixed names."""
