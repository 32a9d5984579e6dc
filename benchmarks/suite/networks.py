"""From end to end: a network's loss on a batch, with its gradients for the images and every parameter, float32."""

from . import measurement

CPU = (("network-64x1x24x24-to-17",), ("batch normalization", "channel deconvolution", "full deconvolution"))
CUDA = (("network-1024x1x32x32-to-17",), ("batch normalization", "channel deconvolution", "full deconvolution"))


def setup_cache():
    return measurement.figures("forward+backward", cpu=CPU, cuda=CUDA)


Timing, TimingOnGPU, Figures, FiguresOnGPU = measurement.benchmarks(CPU, CUDA)


class Memory(measurement.Resident):
    params = CPU
