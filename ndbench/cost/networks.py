"""The convolutions of published networks, from the tables of their papers: torchvision is not needed.

References:
    Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015, table 1, D.
    He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, CVPR 2016, table 1, shortcuts of option B.
    Huang, Liu, van der Maaten and Weinberger, Densely Connected Convolutional Networks, CVPR 2017, table 1.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from ndbench.cost.geometry import Convolution
from ndbench.covariance.work import Shape

Named = tuple[str, Convolution]

VGG16 = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
"""Convolutions of 3 x 3 and channels of each stage, after which the image is halved."""

RESNET18 = ((64, 1), (128, 2), (256, 2), (512, 2))
"""Channels of each stage of two blocks of two convolutions, and the stride of its first."""

DENSENET121 = (6, 12, 24, 16)
"""Layers of each dense block."""

GROWTH, BOTTLENECK = 32, 4
"""Channels that a layer of DenseNet adds, and how many times as many its 1 x 1 convolution makes first."""


def vgg16(shape: Shape) -> Iterator[Named]:
    """The 13 convolutions of VGG-16, configuration D."""
    for stage, (count, outputs) in enumerate(VGG16, start=1):
        for number in range(1, count + 1):
            name, conv = layer(f"conv{stage}_{number}", shape, outputs, 3, padding=1)
            yield name, conv
            shape = after(conv)
        shape = pooled(shape, 2)


def resnet18(shape: Shape) -> Iterator[Named]:
    """The 20 convolutions of ResNet-18, its 3 shortcuts of 1 x 1 included."""
    name, stem = layer("conv1", shape, 64, 7, stride=2, padding=3)
    yield name, stem
    shape = pooled(after(stem), 3, padding=1)
    for stage, (outputs, stride) in enumerate(RESNET18, start=2):
        for block, step in enumerate((stride, 1), start=1):
            name, first = layer(f"conv{stage}_{block}.1", shape, outputs, 3, stride=step, padding=1)
            yield name, first
            yield layer(f"conv{stage}_{block}.2", after(first), outputs, 3, padding=1)
            if step > 1:
                yield layer(f"conv{stage}_{block}.shortcut", shape, outputs, 1, stride=step)
            shape = after(first)


def densenet121(shape: Shape) -> Iterator[Named]:
    """The 120 convolutions of DenseNet-121."""
    name, stem = layer("conv1", shape, 64, 7, stride=2, padding=3)
    yield name, stem
    shape = pooled(after(stem), 3, padding=1)
    for block, layers in enumerate(DENSENET121, start=1):
        for number in range(1, layers + 1):
            name, narrow = layer(f"block{block}_{number}.1", shape, BOTTLENECK * GROWTH, 1)
            yield name, narrow
            yield layer(f"block{block}_{number}.2", after(narrow), GROWTH, 3, padding=1)
            shape = (shape[0], shape[1] + GROWTH, *shape[2:])
        if block < len(DENSENET121):
            name, transition = layer(f"transition{block}", shape, shape[1] // 2, 1)
            yield name, transition
            shape = pooled(after(transition), 2)


NETWORKS: dict[str, Callable[[Shape], Iterator[Named]]] = {
    "vgg16": vgg16,
    "resnet18": resnet18,
    "densenet121": densenet121,
}
"""By name."""

LINEAR = {"vgg16": 3, "resnet18": 1, "densenet121": 1}
"""Linear layers of each, behind all convolutions."""


def convolutions(name: str, shape: Shape) -> list[Named]:
    """The convolutions of a network on images of this shape, without a gradient of the images themselves.

    Args:
        name: one of `NETWORKS`.
        shape: of the images, (N, C, H, W).

    Raises:
        ValueError: for images that become too small.

    Example:
        >>> [name for name, _ in convolutions("vgg16", (1, 3, 32, 32))][-1]
        'conv5_3'
    """
    (first, conv), *rest = NETWORKS[name](shape)
    return [(first, replace(conv, input_gradient=False)), *rest]


def layer(name: str, shape: Shape, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0) -> Named:
    """A convolution with its name; refuses an input that pooling has left no pixel of."""
    if min(shape[2:]) < 1:
        raise ValueError(
            f"{name}: the images are too small for the network, whose input here is {'x'.join(map(str, shape))};"
            " give larger ones"
        )
    return name, Convolution.of(shape, outputs, kernel, stride=stride, padding=padding)


def after(conv: Convolution) -> Shape:
    """The shape of its output."""
    return (conv.shape[0], conv.outputs, *conv.output_size)


def pooled(shape: Shape, kernel: int, padding: int = 0) -> Shape:
    """The shape after pooling with stride 2."""
    images, channels, height, width = shape
    rows, columns = ((length + 2 * padding - kernel) // 2 + 1 for length in (height, width))
    return images, channels, rows, columns
