"""PyTorch checkpoint to FP32 ONNX, parity-checked, in a bundle."""
