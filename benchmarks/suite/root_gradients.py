"""Gradients of inverse square roots: forward and backward of five Newton-Schulz steps by every adjoint, float32."""

from . import measurement

CPU = (("gradient-newton_schulz-T5-n64-b4", "gradient-newton_schulz-T5-n288-b1"), ("autograd", "reverse", "eigenbasis"))
CUDA = (("gradient-newton_schulz-T5-n64-b4", "gradient-newton_schulz-T5-n576-b1"), ("autograd", "reverse"))


def setup_cache():
    return measurement.figures("forward+backward", cpu=CPU, cuda=CUDA)


Timing, TimingOnGPU, Figures, FiguresOnGPU = measurement.benchmarks(CPU, CUDA)
