"""NVIDIA's own parser and builder on a drawing, without a GPU; run as a script it may die alone."""

from __future__ import annotations

import sys

from cspine.backends.capability import tensorrt_module
from cspine.backends.messages import listening
from drawing import CHANNELS, SIDE


def builds(model: bytes) -> bool:
    """Return whether a strongly typed engine can be built from a model."""
    trt = tensorrt_module()
    with listening() as (logger, _):  # what it refuses is expected
        builder = trt.Builder(logger)
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, logger)
        if not parser.parse(model):
            return False
        config = builder.create_builder_config()
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.SM89, 0)
        profile = builder.create_optimization_profile()
        shape = (2, CHANNELS, SIDE, SIDE)
        profile.set_shape("x", shape, shape, shape)
        config.add_optimization_profile(profile)
        return builder.build_serialized_network(network, config) is not None


if __name__ == "__main__":
    builds(sys.stdin.buffer.read())
