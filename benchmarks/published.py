"""The published method, to be timed beside this project's layers: what its authors' code computes, written anew.

A training step takes every operation of the published layer in its order, with the copies that it makes:

1. patches by `unfold` at the sampling stride times the convolution's stride, one copy into rows;
2. another into interleaved groups, column j of all C kh kw into group j mod (C / block);
3. the mean, and a centered copy;
4. cov = eps I + X^T X / M in one addmm;
5. D by T coupled Newton-Schulz steps of three products each, which autograd records;
6. running averages of mean and D;
7. D and mean folded into weight and bias, through two more interleaving copies;
8. the convolution.

It serves one group and kernels above 1, and trains only. For use there is `ndbench.layers.published`, which gives the
same results; `tests/benchmarks/test_published.py` holds this rendering to it.

References:
    Ye et al., Network Deconvolution, ICLR 2020, and the code published with it (models/deconv.py).
"""

import torch
from torch import nn
from torch.nn import functional


class PublishedDeconv(nn.Conv2d):
    """Convolution of whitened patches, in the published operations."""

    def __init__(self, *args, block=64, sampling_stride=3, eps=1e-5, steps=5, momentum=0.1, **kwargs):
        super().__init__(*args, **kwargs)
        if self.groups != 1 or max(self.kernel_size) == 1 or self.in_channels % block or self.bias is None:
            raise ValueError("PublishedDeconv: one group, a kernel above 1, a bias, and a block that divides the input")
        self.eps, self.steps, self.momentum = eps, steps, momentum
        self.sampling = tuple(sampling_stride * s for s in self.stride)
        self.count = self.in_channels // block
        self.order = block * self.kernel_size[0] * self.kernel_size[1]
        self.register_buffer("running_mean", torch.zeros(self.order))
        self.register_buffer("running_deconv", torch.eye(self.order))

    def interleaved(self, columns):
        """(rows, C kh kw) to (rows C / block, block kh kw); a copy, as it is there."""
        return columns.view(-1, self.order, self.count).transpose(1, 2).contiguous().view(-1, self.order)

    def statistics(self, x):
        """Mean and D of the patches that are counted."""
        X = functional.unfold(x, self.kernel_size, self.dilation, self.padding, self.sampling)
        X = self.interleaved(X.transpose(1, 2).contiguous())
        mean = X.mean(0)
        X = X - mean
        eye = torch.eye(self.order, dtype=X.dtype, device=X.device)
        return mean, newton_schulz(torch.addmm(eye, X.t(), X, beta=self.eps, alpha=1 / len(X)), self.steps)

    def forward(self, x):
        mean, D = self.statistics(x)
        self.running_mean.mul_(1 - self.momentum).add_(mean.detach(), alpha=self.momentum)
        self.running_deconv.mul_(1 - self.momentum).add_(D.detach(), alpha=self.momentum)
        w = self.interleaved(self.weight.flatten(1)) @ D
        bias = self.bias - (w @ mean).view(self.out_channels, -1).sum(1)
        w = w.view(-1, self.count, self.order).transpose(1, 2).contiguous().view(self.weight.shape)
        return functional.conv2d(x, w, bias, self.stride, self.padding, self.dilation)


def newton_schulz(A, steps):
    """Z_T / sqrt(c) with c = ||A||_F, all 3T products; autograd keeps every one."""
    c = A.norm()
    eye = torch.eye(len(A), dtype=A.dtype, device=A.device)
    Y, Z = A / c, eye
    for _ in range(steps):
        S = 0.5 * (3 * eye - Z @ Y)
        Y, Z = Y @ S, S @ Z
    return Z / c.sqrt()
