"""FLOPs and parameters of exported networks are those that PyTorch counts, and those published."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

import onnx
import pytest
import torch
from monai.networks.nets import DenseNet121, DynUNet, ResNet, UNet
from onnx import shape_inference
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from cspine.complexity import complexity
from cspine.onnxfile import read_onnx
from cspine.shapes.infer import infer


def unlike(network: nn.Module) -> nn.Module:
    """Return a network no two tensors of which are equal: the exporter would keep only one."""
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.5, 1.0)
    return network


def exported(network: nn.Module, shape: tuple[int, ...], *, fold: bool = True) -> bytes:
    """Return a network as ONNX with an open batch, from an example of two images."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (torch.rand(2, *shape),),
            stream,
            dynamo=False,
            opset_version=17,
            input_names=["image"],
            dynamic_axes={"image": {0: "batch"}},
            do_constant_folding=fold,
            training=torch.onnx.TrainingMode.EVAL if fold else torch.onnx.TrainingMode.PRESERVE,
        )
    return stream.getvalue()


def counted(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Return the FLOPs that PyTorch counts at a batch of one image."""
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        network.eval()(torch.rand(1, *shape))
    return int(counter.get_total_flops())


class Along(nn.Module):
    """A network written as a function."""

    def __init__(self, function: Callable[..., torch.Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.function = function

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.function(image, *self.layers)


def attention(image: torch.Tensor, project: nn.Module) -> torch.Tensor:
    tokens = project(image).flatten(2).transpose(1, 2)
    weights = torch.softmax(tokens @ tokens.transpose(1, 2), -1)
    return (weights @ tokens).mean(1)


def skipped(image: torch.Tensor, down: nn.Module, up: nn.Module) -> torch.Tensor:
    small = functional.max_pool2d(down(image), 2, ceil_mode=True)
    large = functional.interpolate(small, size=image.shape[2:], mode="bilinear")
    return up(torch.cat([image, large], 1))


def flattened(image: torch.Tensor, conv: nn.Module, linear: nn.Module) -> torch.Tensor:
    return linear(torch.relu(conv(image)).view(image.shape[0], -1))


NETWORKS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "convolution": (nn.Conv2d(3, 8, 3, padding=1), (3, 17, 13)),
    "one dimension": (nn.Conv1d(3, 8, 5, stride=2), (3, 31)),
    "three dimensions": (nn.Conv3d(2, 4, (1, 3, 2), stride=(1, 2, 1)), (2, 5, 9, 7)),
    "grouped": (nn.Conv2d(8, 12, 3, groups=4), (8, 9, 9)),
    "depthwise": (nn.Conv2d(8, 16, 3, groups=8, padding=1), (8, 9, 9)),
    "dilated": (nn.Conv2d(3, 4, 3, dilation=(2, 3)), (3, 20, 20)),
    "strided": (nn.Conv2d(3, 4, 3, stride=(3, 2), padding=(1, 0)), (3, 20, 21)),
    "same": (nn.Conv2d(3, 4, (4, 2), padding="same"), (3, 20, 21)),
    "transposed": (nn.ConvTranspose2d(6, 4, 2, stride=2), (6, 7, 5)),
    "transposed, grouped": (
        nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1, groups=2),
        (6, 7, 5),
    ),
    "transposed, dilated": (nn.ConvTranspose2d(6, 4, 3, dilation=2), (6, 7, 5)),
    "linear": (nn.Sequential(nn.Flatten(), nn.Linear(60, 7), nn.Linear(7, 3, bias=False)), (3, 20)),
    "linear on tokens": (nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 4)), (9, 16)),
    "attention": (Along(attention, nn.Conv2d(1, 8, 4, stride=4)), (1, 16, 24)),
    "skip and resize": (
        Along(skipped, nn.Conv2d(2, 4, 3, stride=2), nn.Conv2d(6, 3, 1)),
        (2, 19, 23),
    ),
    "flattened by its own shape": (
        Along(flattened, nn.Conv2d(1, 4, 3), nn.Linear(4 * 36, 5)),
        (1, 8, 8),
    ),
    "shuffled": (
        nn.Sequential(nn.Conv2d(1, 8, 3), nn.PixelShuffle(2), nn.Conv2d(2, 1, 3)),
        (1, 9, 9),
    ),
    "padded": (nn.Sequential(nn.ReflectionPad2d(2), nn.Conv2d(1, 2, 3), nn.Hardswish()), (1, 9, 9)),
    "upsampled": (nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(1, 2, 3)), (1, 9, 9)),
    "normalised": (
        nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.InstanceNorm2d(4), nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 3)
        ),
        (2, 9, 9),
    ),
    "DynUNet": (
        DynUNet(
            spatial_dims=2, in_channels=1, out_channels=9, kernel_size=[3] * 4,
            strides=[1, 2, 2, 2], upsample_kernel_size=[2] * 3, filters=[8, 16, 24, 32],
            norm_name="batch",
        ),
        (1, 64, 48),
    ),
    "UNet": (
        UNet(
            spatial_dims=2, in_channels=1, out_channels=3, channels=(8, 16, 32), strides=(2, 2),
            num_res_units=1,
        ),
        (1, 32, 48),
    ),
    "DenseNet": (
        DenseNet121(spatial_dims=2, in_channels=1, out_channels=2, block_config=(2, 2, 2, 2)),
        (1, 64, 64),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_flops_are_those_that_pytorch_counts(name: str) -> None:
    network, shape = NETWORKS[name]
    found = complexity(read_onnx(exported(network, shape), where=name))
    assert found.gaps == ()
    assert (found.flops, found.batch) == (counted(network, shape), 1)
    assert found.integer_flops == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_every_shape_that_onnx_knows_is_found(name: str) -> None:
    data = exported(*NETWORKS[name])
    model = onnx.load_from_string(data)
    for dim in (value.type.tensor_type.shape.dim[0] for value in model.graph.input):
        dim.dim_value = 1
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    complete = shape_inference.infer_shapes(model, data_prop=True)
    tensors = infer(read_onnx(data, where=name)).tensors
    for value in (*complete.graph.value_info, *complete.graph.output):
        sizes = value.type.tensor_type.shape.dim
        if all(dim.HasField("dim_value") for dim in sizes):
            assert tensors[value.name].shape == tuple(dim.dim_value for dim in sizes), value.name


def test_parameters_are_those_of_the_network() -> None:
    for name in ("grouped", "transposed", "linear", "linear on tokens", "attention", "DynUNet"):
        network, shape = unlike(NETWORKS[name][0]), NETWORKS[name][1]
        found = complexity(read_onnx(exported(network, shape, fold=False), where=name))
        held = [each for each in (*network.parameters(), *network.buffers()) if each.dim()]
        assert found.parameters == sum(each.numel() for each in held)
        assert found.weights == {"float32": 4 * found.parameters}


def test_a_resnet_50_is_as_published() -> None:
    network = ResNet(
        block="bottleneck", layers=[3, 4, 6, 3], block_inplanes=[64, 128, 256, 512],
        spatial_dims=2, n_input_channels=3, conv1_t_size=7, conv1_t_stride=2, num_classes=1000,
    )  # fmt: skip
    data = exported(unlike(network), (3, 224, 224))
    found = complexity(read_onnx(data, where="ResNet-50"))
    assert found.flops is not None
    assert round(found.flops / 2e9, 2) == 4.09  # multiply-adds, as torchvision states them
    assert found.flops == counted(network, (3, 224, 224))
    # Of the two numbers a channel of a batch normalisation one is folded away.
    channels = sum(m.num_features for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    assert found.parameters + channels == 25_557_032
