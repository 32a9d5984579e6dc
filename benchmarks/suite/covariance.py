"""Patch covariances: the definition, and the lagged and shifted algorithms, float32."""

from . import measurement

CPU = (
    ("covariance-8x64x32x32-k3-s1-block64", "covariance-8x64x32x32-k3-s3-block64"),
    ("unfold + GEMM", "lagged, torch", "shifted, torch"),
)
# of stride 1 only, which alone has a lagged kernel
CUDA = (
    ("covariance-256x64x56x56-k3-s1-block64",),
    ("unfold + GEMM", "im2col, triton tf32x3", "lagged, triton tf32x3"),
)


def setup_cache():
    return measurement.figures("forward", cpu=CPU, cuda=CUDA)


Timing, TimingOnGPU, Figures, FiguresOnGPU = measurement.benchmarks(CPU, CUDA)
