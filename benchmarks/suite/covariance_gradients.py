"""Gradients of patch covariances: forward and backward by autograd and by hand, float32."""

from . import measurement

CPU = (
    ("gradient-covariance-4x64x16x16-k3-s1-block64", "gradient-covariance-4x64x16x16-k3-s3-block64"),
    ("im2col, autograd", "im2col, handwritten", "lagged, handwritten"),
)
CUDA = (("gradient-covariance-128x64x32x32-k3-s3-block64",), ("im2col, autograd", "im2col, handwritten"))


def setup_cache():
    return measurement.figures("forward+backward", cpu=CPU, cuda=CUDA)


Timing, TimingOnGPU, Figures, FiguresOnGPU = measurement.benchmarks(CPU, CUDA)
