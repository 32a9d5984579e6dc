"""What evaluation costs: a converted and folded network beside the plain one.

    MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=-1 python -m benchmarks.inference

times the forward pass of two networks in evaluation, in interleaved rounds:

- convolutions: the network without batch normalization, convolutions with biases;
- the same again: another copy of it, which tells how far equal networks differ in such a measurement;
- batch normalization: the network as it was;
- converted: with deconvolution layers, after steps of training, not folded;
- folded: converted, trained and folded, plain layers of PyTorch.

Times are lower quartiles; beside their ratio are the quartiles of the ratios round by round. Where its memory lies
makes a convolution faster or slower, so all networks are copied anew several times, and the two variables keep glibc
from handing memory back and asking for it again at every call, which cost one network a tenth more than its equal.
"""

import argparse
import copy
import os
import statistics
from functools import partial

import torch
from torch import nn

from ndbench.layers import convert, fold
from ndbench.timing import interleaved

COPIES = 8
"""Of all networks, one after the other."""

PLAIN, AGAIN = "convolutions", "the same again"


def conv_norm(inputs, outputs, stride=1):
    return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)]


def vgg():
    """Six convolutions, 64 to 256 channels."""
    layers, inputs = [], 3
    for outputs, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        layers += [*conv_norm(inputs, outputs, stride), nn.ReLU(inplace=True)]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.long = nn.Sequential(*conv_norm(inputs, outputs, stride), nn.ReLU(), *conv_norm(outputs, outputs))
        same = inputs == outputs and stride == 1
        self.short = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x):
        return nn.functional.relu(self.long(x) + self.short(x))


def resnet():
    """Three blocks, 64 to 256 channels."""
    blocks = Residual(64, 64, 1), Residual(64, 128, 2), Residual(128, 256, 2)
    stem = [*conv_norm(3, 64), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))


NETWORKS = {"vgg": vgg, "resnet": resnet}


def images(batch, size):
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(0))


def forms(make, x):
    """The five networks, in evaluation; they compute different things, and the last two the same."""
    torch.manual_seed(0)
    model = make()
    converted = convert(model, block=16).model
    for network in (model, converted):
        network(x)
    plain = without_norms(make())
    found = {PLAIN: plain, AGAIN: copy.deepcopy(plain), "batch normalization": model, "converted": converted}
    found = {name: network.eval() for name, network in found.items()}
    return found | {"folded": fold(converted)}


def without_norms(model):
    """The same convolutions, with biases."""
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            model.set_submodule(name, nn.Identity())
        elif isinstance(module, nn.Conv2d) and module.bias is None:
            module.bias = nn.Parameter(torch.zeros(module.out_channels))
    return model


def compare(name, batch, size, rounds):
    x = images(batch, size)
    models = forms(NETWORKS[name], x)
    with torch.inference_mode():
        report(name, models, x, rounds)


def report(name, models, x, rounds):
    """The table of one network."""
    error = (models["folded"](x) - models["converted"](x)).abs().max() / models["converted"](x).abs().max()
    found = {form: [] for form in models}
    for _ in range(COPIES):
        # copied in inference mode, parameters would count no versions, and nothing could be kept for them
        with torch.inference_mode(mode=False):
            copies = {form: copy.deepcopy(model) for form, model in models.items()}
        samples = interleaved({form: partial(model, x) for form, model in copies.items()}, "cpu", rounds // COPIES)
        for form, more in samples.items():
            found[form] += more.seconds
    print(f"\n{name}, input {tuple(x.shape)}, {torch.get_num_threads()} threads, {len(found[PLAIN])} rounds; ", end="")
    print(f"MALLOC_MMAP_MAX_={os.environ.get('MALLOC_MMAP_MAX_')}, ", end="")
    print(f"MALLOC_TRIM_THRESHOLD_={os.environ.get('MALLOC_TRIM_THRESHOLD_')}; ", end="")
    print(f"folded and converted differ by {float(error):.0e}\n")
    print("| network | ms | of the plain one | quartiles of the rounds |\n|---|---|---|---|")
    least = statistics.quantiles(found[PLAIN])[0]
    for form, seconds in found.items():
        lower, _, upper = statistics.quantiles([a / b for a, b in zip(seconds, found[PLAIN], strict=True)])
        typical = statistics.quantiles(seconds)[0]
        print(f"| {form} | {1e3 * typical:.2f} | {typical / least:.3f} | {lower:.2f} to {upper:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=160, help="at least 40")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for name in NETWORKS:
        compare(name, arguments.batch, arguments.size, max(arguments.rounds, 40))


if __name__ == "__main__":
    main()
