"""TensorRT engines: compiled from a bundle's ONNX, kept in the cache, read layer by layer."""
