"""Inverse square roots by the other iterations: minimax and Denman-Beavers steps, condition 1000, float32."""

from . import measurement

CPU = (("minimax_quintic-T5-n64-b4", "denman_beavers-T9-n64-b4"), ("torch",))
CUDA = (("minimax_quintic-T5-n32-b1024", "denman_beavers-T9-n32-b1024"), ("torch", "triton ieee", "triton tf32x3"))


def setup_cache():
    return measurement.figures("forward", cpu=CPU, cuda=CUDA)


Timing, TimingOnGPU, Figures, FiguresOnGPU = measurement.benchmarks(CPU, CUDA)
