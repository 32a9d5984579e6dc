"""Models of a whole layer: the convolution, the folding of mean and D, and what `ndbench.layers.Deconv2d` adds up to.

With O outputs, C / groups channels of a group, K offsets and N Ho Wo output pixels:

    convolution    2 N Ho Wo O (C / groups) K    the same for the gradient of the input, and for that of the weight
    folding        2 O (C / groups) K F          the same for the gradient of D, and for that of the weight

A step of training takes forward: statistics, root, folding, convolution; backward: all their gradients. In a layer
whose input has no gradient, as a network's first, statistics and root have none either.
"""

import math

from ndbench.cost import covariance, roots
from ndbench.cost.geometry import Convolution, Layer
from ndbench.cost.model import Cost
from ndbench.covariance.choice import fastest


def convolution(of: Convolution, itemsize: int = 4) -> Cost:
    """The convolution alone, without bias.

    Example:
        >>> convolution(Convolution.of((128, 64, 32, 32), 64, 3, padding=1)).flops
        9663676416
    """
    return Cost(convolution_flops(of), moved=itemsize * (math.prod(of.shape) + weights(of) + output(of)))


def convolution_backward(of: Convolution, itemsize: int = 4) -> Cost:
    """The gradients of its weight, and of its input if that is asked for."""
    read = math.prod(of.shape) + weights(of) * of.input_gradient + output(of)
    written = weights(of) + math.prod(of.shape) * of.input_gradient
    return Cost(convolution_flops(of) * (1 + of.input_gradient), moved=itemsize * (read + written))


def folding(layer: Layer, itemsize: int = 4) -> Cost:
    """Mean and D into the weight."""
    w = weights(layer.convolution)
    return Cost(folding_flops(layer), moved=itemsize * (2 * w + statistics(layer)))


def folding_backward(layer: Layer, itemsize: int = 4) -> Cost:
    """The gradients of the weight, and of mean and D if the input has one."""
    also = layer.convolution.input_gradient
    moved = 3 * weights(layer.convolution) + statistics(layer) * (1 + also)
    return Cost(folding_flops(layer) * (1 + also), moved=itemsize * moved)


def parts(layer: Layer, itemsize: int = 4) -> dict[str, tuple[Cost, Cost]]:
    """Forward and backward of "covariance", "root", "folding" and "convolution", as `Deconv2d` runs them on a CPU.

    Args:
        layer: a convolution, and how it is deconvolved.
        itemsize: bytes of a number.

    Returns:
        the cost of each part, in training, without the averages, which are elementwise.
    """
    conv = layer.convolution
    return {
        "covariance": of_covariance(layer, itemsize),
        "root": of_root(layer, itemsize),
        "folding": (folding(layer, itemsize), folding_backward(layer, itemsize)),
        "convolution": (convolution(conv, itemsize), convolution_backward(conv, itemsize)),
    }


def algorithm_of(layer: Layer) -> str:
    """The covariance algorithm that "auto" takes on a CPU."""
    chosen = fastest(layer.convolution.shape, layer.patches)
    return "buffered" if chosen == "im2col" else chosen


def of_covariance(layer: Layer, itemsize: int) -> tuple[Cost, Cost]:
    """Forward and backward of the statistics."""
    arguments = algorithm_of(layer), layer.convolution.shape, layer.patches, itemsize
    backward = covariance.adjoint(*arguments) if layer.convolution.input_gradient else Cost(0)
    return covariance.forward(*arguments), backward


def of_root(layer: Layer, itemsize: int) -> tuple[Cost, Cost]:
    """Forward and backward of the root, by the adjoint that "auto" takes on a CPU."""
    how, n, matrices = layer.whitening, layer.order, layer.matrices
    if not layer.convolution.input_gradient or how.method.startswith("scipy"):
        return roots.forward(how.method, how.steps, n, batch=matrices, itemsize=itemsize), Cost(0)
    adjoint = roots.chosen_adjoint(how.method, how.steps, n)
    forward, backward = (
        side(how.method, how.steps, n, adjoint=adjoint, batch=matrices, itemsize=itemsize)
        for side in (roots.forward, roots.backward)
    )
    return forward, backward


def law(layer: Layer) -> tuple[int, int]:
    """Flops of the paper's law H W k^2 C B + (k^2 B)^3, a multiplication and an addition being two, for N images.

    Returns:
        the term of the covariance, 2 N H W K C B, and that of the root, 2 F^3 for each matrix.

    References:
        Ye et al., Network Deconvolution, ICLR 2020, section 3.4.
    """
    images, channels, height, width = layer.convolution.shape
    covariance_term = 2 * images * height * width * layer.patches.offsets * channels * layer.block
    return covariance_term, 2 * layer.order**3 * layer.matrices


def convolution_flops(of: Convolution) -> int:
    """2 N Ho Wo O (C / groups) K."""
    return 2 * of.shape[0] * math.prod(of.output_size) * weights(of)


def folding_flops(layer: Layer) -> int:
    """2 O (C / groups) K F; sums over one column are no products."""
    return 2 * weights(layer.convolution) * layer.order if layer.order > 1 else 0


def weights(of: Convolution) -> int:
    """Entries of the weight."""
    return of.outputs * of.shape[1] // of.groups * math.prod(of.kernel_size)


def output(of: Convolution) -> int:
    """Values of the output."""
    return of.shape[0] * of.outputs * math.prod(of.output_size)


def statistics(layer: Layer) -> int:
    """Entries of mean and D."""
    return layer.matrices * (layer.order + layer.order**2)
