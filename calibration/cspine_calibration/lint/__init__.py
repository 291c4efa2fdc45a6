"""What is wrong with a quantised ONNX file for a target, ours or anyone's, from the file alone."""
