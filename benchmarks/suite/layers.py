"""Training steps of one layer: forward and backward, beside convolution + batch normalization, float32."""

from . import measurement

CPU = (
    ("layer-8x16x16x16-to-16", "layer-8x64x16x16-to-64"),
    ("convolution + batch norm", "Deconv2d, block 16, stride 3", "Deconv2d, block 64, stride 3"),
)
CUDA = (
    ("layer-256x64x56x56-to-64-nhwc",),
    ("convolution + batch norm", "Deconv2d, block 16, stride 3", "Deconv2d, block 64, stride 3"),
)


def setup_cache():
    return measurement.figures("forward+backward", cpu=CPU, cuda=CUDA)


Timing, TimingOnGPU, Figures, FiguresOnGPU = measurement.benchmarks(CPU, CUDA)
