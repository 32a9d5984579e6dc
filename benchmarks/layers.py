"""Time and memory of a training step of one layer, beside convolution + batch normalization and the published method.

`python -m benchmarks.layers` runs forward and backward of every side in one process, one after the other in each round,
and prints the lower quartile of at least 15 rounds, beside it the peak memory, and beside the ratios the project's
targets. Gradients are those of the input, the weight and the bias. T = 5, kernel 3, padding 1.

Peak memory on a CPU is measured in a process for each side: the largest resident set (VmHWM of Linux, reset
before) of three steps, less the resident set before them, when the input, the layer and the upstream gradient exist and
a small layer of the same kind has loaded the libraries. On a GPU it is PyTorch's record of its allocations.

On a machine that others use too, `--shared --threads 1` counts the time that the process had a processor.

On a GPU (`--device cuda`) times are between device events, convolutions of float32 use tf32, and bfloat16 is
autocast.
"""

import argparse
import contextlib
import json
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from benchmarks.published import PublishedDeconv
from ndbench.environment import environment
from ndbench.layers import Deconv2d
from ndbench.timing import interleaved

CONVOLUTION, NORMALIZED = "convolution", "convolution + batch norm"
MEMORY = 1.3
"""Of convolution + batch norm's peak."""


@dataclass(frozen=True)
class Setting:
    """A layer's input and outputs, its layout of memory and its type."""

    shape: tuple[int, int, int, int]
    outputs: int
    layout: str = "NCHW"
    dtype: str = "float32"

    @property
    def name(self):
        return f"{'x'.join(map(str, self.shape))} to {self.outputs}, {self.layout}, {self.dtype}"

    @property
    def format(self):
        return torch.channels_last if self.layout == "NHWC" else torch.contiguous_format


@dataclass(frozen=True)
class Side:
    """One of the layers that are compared."""

    kind: str
    block: int = 0
    sampling: int = 0

    @property
    def name(self):
        return f"{self.kind}, block {self.block}, stride {self.sampling}" if self.block else self.kind

    def layer(self, channels, outputs):
        arguments = (channels, outputs, 3)
        if self.kind == CONVOLUTION:
            return nn.Conv2d(*arguments, padding=1)
        if self.kind == NORMALIZED:
            return nn.Sequential(nn.Conv2d(*arguments, padding=1, bias=False), nn.BatchNorm2d(outputs))
        chosen = {"published": PublishedDeconv, "Deconv2d": Deconv2d}[self.kind]
        return chosen(*arguments, padding=1, block=self.block, sampling_stride=self.sampling)


@dataclass(frozen=True)
class Target:
    """A bound on a ratio of times: of the whole step, or of what it takes beyond the plain convolution."""

    side: Side
    other: Side
    bound: float
    beyond: bool = False

    def ratio(self, times):
        less = times[PLAIN.name] if self.beyond else 0
        return (times[self.side.name] - less) / (times[self.other.name] - less)

    @property
    def name(self):
        return f"{self.side.name} / {self.other.name}{', both beyond the convolution' if self.beyond else ''}"


PLAIN, NORMAL = Side(CONVOLUTION), Side(NORMALIZED)


def deconvolution(block, sampling):
    return Side("Deconv2d", block, sampling)


def published(block, sampling):
    return Side("published", block, sampling)


def cpu_comparisons():
    """Settings with their targets, whose sides are what is measured."""
    layers = (((128, 64, 32, 32), 64, 4.0), ((128, 128, 16, 16), 128, 3.5), ((128, 256, 8, 8), 256, 2.5))
    for shape, outputs, faster in layers:
        targets = (
            Target(deconvolution(16, 3), NORMAL, 1.35),
            Target(deconvolution(64, 3), NORMAL, 1.75),
            Target(deconvolution(64, 3), published(64, 3), 1 / 1.7, beyond=True),
            Target(deconvolution(64, 1), published(64, 1), 1 / faster),
        )
        yield Setting(shape, outputs), targets
        yield Setting(shape, outputs, "NHWC"), (Target(deconvolution(16, 3), NORMAL, 1.6),)


def cuda_comparisons():
    for shape, outputs in (((256, 64, 56, 56), 64), ((128, 128, 16, 16), 128)):
        for dtype in ("float32", "bfloat16"):
            targets = (
                Target(deconvolution(64, 3), NORMAL, 1.5),
                Target(deconvolution(64, 3), published(64, 3), 1 / 3),
                Target(deconvolution(64, 1), NORMAL, 2.5),
                Target(deconvolution(64, 1), published(64, 1), 1 / 3),
            )
            yield Setting(shape, outputs, "NHWC", dtype), targets


def sides(targets):
    """The convolutions, and every side of a target, once."""
    return tuple(dict.fromkeys((PLAIN, NORMAL, *(side for t in targets for side in (t.other, t.side)))))


def step(side, setting, device):
    """Forward and backward of a new layer, with its input and upstream gradient made."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    images, channels, height, width = setting.shape
    layer = side.layer(channels, setting.outputs).to(device, memory_format=setting.format)
    x, upstream = (
        torch.randn(images, count, height, width, generator=generator).to(device, memory_format=setting.format)
        for count in (channels, setting.outputs)
    )
    if setting.dtype == "bfloat16":
        x, upstream = x.bfloat16(), upstream.bfloat16()
    x.requires_grad_()
    mixed = torch.autocast(device, torch.bfloat16) if setting.dtype == "bfloat16" else contextlib.nullcontext()

    def run():
        x.grad = None
        layer.zero_grad(set_to_none=True)
        with mixed:
            y = layer(x)
        y.backward(upstream.to(y.dtype))

    return run


def peak(side, setting, device, threads):
    """Bytes beyond what exists before, at the peak of three steps."""
    if device == "cuda":
        return cuda_peak(side, setting)
    question = json.dumps([asdict(side), asdict(setting), threads])
    command = [sys.executable, "-m", "benchmarks.layers", "--peak-of", question]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def resident_peak(side, setting, threads):
    torch.set_num_threads(threads)
    step(side, Setting((2, setting.shape[1], 8, 8), setting.outputs, setting.layout), "cpu")()
    run = step(side, setting, "cpu")
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    for _ in range(3):
        run()
    return resident("VmHWM") - before


def resident(field):
    return 1024 * int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])


def cuda_peak(side, setting):
    run = step(side, setting, "cuda")
    run()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def compare(setting, targets, device, rounds, *, threads, clock):
    """Print one setting's tables, and return what is in them."""
    chosen = sides(targets)
    runs = {side.name: step(side, setting, device) for side in chosen}
    samples = interleaved(runs, device, rounds, clock=clock)
    del runs
    times = {name: found.typical for name, found in samples.items()}
    memory = {side.name: peak(side, setting, device, threads) for side in chosen}
    print(f"\n### {setting.name}\n\n| layer | ms | of {NORMALIZED} | peak MiB | of it |\n|---|---|---|---|---|")
    for name, seconds in times.items():
        share, extra = seconds / times[NORMALIZED], memory[name] / memory[NORMALIZED]
        print(f"| {name} | {1e3 * seconds:.1f} | {share:.2f} | {memory[name] / 2**20:.0f} | {extra:.2f} |")
    judged = [(target.name, target.ratio(times), target.bound) for target in targets]
    judged += [
        (f"peak memory, {side.name} / {NORMALIZED}", memory[side.name] / memory[NORMALIZED], MEMORY)
        for side in chosen
        if side.kind == "Deconv2d"
    ]
    print("\n| ratio | measured | at most | |\n|---|---|---|---|")
    for name, ratio, bound in judged:
        print(f"| {name} | {ratio:.2f} | {bound:.2f} | {'met' if ratio <= bound else 'MISSED'} |", flush=True)
    return {
        "setting": asdict(setting),
        "seconds": {name: found.seconds for name, found in samples.items()},
        "peak bytes": memory,
        "ratios": [dict(zip(("ratio", "measured", "at most"), one, strict=True)) for one in judged],
    }


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=15, help="at least 15")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shared", action="store_true", help="count the processor's time, for a machine that is busy")
    parser.add_argument("--json", type=Path, help="write samples and ratios to this file")
    parser.add_argument("--only", default="", help="settings whose name holds this, such as 8x8 or NHWC")
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    return parser.parse_args()


def answer(question):
    """The peak that a parent process asked for."""
    side, setting, threads = json.loads(question)
    setting["shape"] = tuple(setting["shape"])
    print(resident_peak(Side(**side), Setting(**setting), threads))


def main():
    arguments = parse()
    if arguments.peak_of:
        answer(arguments.peak_of)
        return
    torch.set_num_threads(arguments.threads)
    torch.backends.cudnn.allow_tf32 = True
    where = environment()
    rounds = max(arguments.rounds, 15)
    clock = time.process_time if arguments.shared else time.perf_counter
    print(
        f"{arguments.device}, {clock.__name__}, {arguments.threads} threads, {rounds} rounds, torch {torch.__version__}"
    )
    print(f"allocator {where['allocator']}")
    comparisons = cpu_comparisons() if arguments.device == "cpu" else cuda_comparisons()
    found = [
        compare(setting, targets, arguments.device, rounds, threads=arguments.threads, clock=clock)
        for setting, targets in comparisons
        if arguments.only in setting.name
    ]
    missed = [one for result in found for one in result["ratios"] if not one["measured"] <= one["at most"]]
    print(f"\n{len(missed)} of {sum(len(result['ratios']) for result in found)} targets missed")
    if arguments.json:
        arguments.json.write_text(json.dumps({"environment": where, "results": found}, indent=1))


if __name__ == "__main__":
    main()
