"""Training from end to end: batch normalization, channel deconvolution and full deconvolution on real data.

`python -m benchmarks.training` trains a small convolutional network on two tasks, writes docs/training.json and
docs/training.svg and prints the tables of docs/training.md. It takes minutes on a CPU.

- digits: which of the ten digits one of scikit-learn's 1797 handwritten ones is (8 x 8 pixels); 1297 to train with.
- crops: which of the 17 bundled photographs a crop in gray comes from (24 x 24 pixels); 150 of each to train with, 50
  to test. A photograph is cut into seven horizontal bands; crops that are tested come from the second and the fifth,
  the others from the rest, so that no pixel is in both.

All three networks have the same convolutions with the same initial weights, see the same batches in the same order and
take the same number of steps of SGD with momentum 0.9 and a learning rate that falls to 0 as a cosine. Where it begins
is chosen for each from the same grid, by the accuracy on a fifth of the training data, which is held out, on two seeds
that are not reported.
"""

import argparse
import json
import statistics
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from ndbench.bench.networks import WAYS, network
from ndbench.images import PHOTOGRAPHS, photograph
from ndbench.timing import interleaved

DOCS = Path(__file__).parents[1] / "docs"
RATES = (0.01, 0.03, 0.1, 0.3, 1.0)
CHOOSING = (100, 101)
"""Seeds with which the learning rate is chosen."""

BATCH = 64
CROP = 24
SAMPLING_STRIDES = {"digits": 1, "crops": 3}
"""3 is the default; of the last layer's 4 x 4 pixels of a digit it leaves fewer patches than a patch has numbers."""


def digits(seed):
    """Images and labels to train with, and to test with."""
    from sklearn.datasets import load_digits  # noqa: PLC0415  an extra

    found = load_digits()
    x, y = torch.tensor(found.images, dtype=torch.float32)[:, None] / 16, torch.tensor(found.target)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    return (x[order[:1297]], y[order[:1297]]), (x[order[1297:]], y[order[1297:]])


def crops(seed):
    """Crops and photographs to train with, and to test with, from other bands of them."""
    generator = np.random.default_rng(seed)
    train, test = [], []
    for name in PHOTOGRAPHS:
        (image,) = photograph(name, gray=True)
        bands = np.array_split(image, 7)
        held = [bands.pop(4), bands.pop(1)]
        train.append(np.concatenate([cut(band, 30, generator) for band in bands]))
        test.append(np.concatenate([cut(band, 25, generator) for band in held]))
    return labelled(train), labelled(test)


def cut(band, count, generator):
    """So many crops, at random."""
    tops = generator.integers(0, band.shape[0] - CROP + 1, count)
    lefts = generator.integers(0, band.shape[1] - CROP + 1, count)
    return np.stack([band[t : t + CROP, s : s + CROP] for t, s in zip(tops, lefts, strict=True)])


def labelled(groups):
    """Crops of all photographs, and the number of each one's."""
    pixels = torch.tensor(np.concatenate(groups), dtype=torch.float32)[:, None] / 255
    return pixels, torch.arange(len(groups)).repeat_interleave(len(groups[0]))


TASKS = {"digits": digits, "crops": crops}


def held_out(train, seed):
    """A fifth of the training data in the place of the test data."""
    x, y = train
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    kept, held = order[len(x) // 5 :], order[: len(x) // 5]
    return (x[kept], y[kept]), (x[held], y[held])


def run(way, task, data, seed, *, rate, epochs):
    """Train once: losses of all batches, accuracy and loss on the test data after each epoch."""
    (x, y), (tx, ty) = data
    mean, std = x.mean(), x.std()
    x, tx = (x - mean) / std, (tx - mean) / std
    # all ways draw the same weights: no other layer draws any
    torch.manual_seed(seed)
    model = network(way, int(y.max()) + 1, SAMPLING_STRIDES[task])
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    steps = epochs * -(-len(x) // BATCH)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    order = torch.Generator().manual_seed(seed)
    losses, accuracies, test_losses = [], [], []
    for _ in range(epochs):
        batches = torch.randperm(len(x), generator=order).split(BATCH)
        losses += [step(model.train(), optimizer, decay, x[batch], y[batch]) for batch in batches]
        with torch.no_grad():
            scores = model.eval()(tx)
        accuracies.append(float((scores.argmax(1) == ty).float().mean()))
        test_losses.append(float(cross_entropy(scores, ty)))
    found = {"loss": losses, "accuracy": accuracies, "test_loss": test_losses}
    return {what: [float(f"{value:.4g}") for value in values] for what, values in found.items()}


def step(model, optimizer, decay, x, y):
    loss = cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    decay.step()
    return float(loss.detach())


def chosen_rate(way, task, epochs):
    """The learning rate with the best mean accuracy on held-out data, and that of all."""
    found = {}
    for rate in RATES:
        data = [held_out(TASKS[task](seed)[0], seed) for seed in CHOOSING]
        runs = [run(way, task, part, seed, rate=rate, epochs=epochs) for part, seed in zip(data, CHOOSING, strict=True)]
        found[rate] = statistics.mean(one["accuracy"][-1] for one in runs)
    return max(found, key=found.__getitem__), found


def measured(seeds, epochs):
    """All runs, by task and way."""
    report = {}
    for task, make in TASKS.items():
        for name, way in WAYS.items():
            rate, grid = chosen_rate(way, task, epochs[task])
            runs = [run(way, task, make(seed), seed, rate=rate, epochs=epochs[task]) for seed in range(seeds)]
            report.setdefault(task, {})[name] = {"rate": rate, "held_out_accuracy": grid, "runs": runs}
            print(f"{task}, {name}: rate {rate}, {mean_of(runs, 'accuracy'):.2%}", flush=True)
        for name, ms in milliseconds(task).items():
            report[task][name]["milliseconds"] = ms
    return report


def milliseconds(task, rounds=41):
    """Of a step of each way, lower quartiles of interleaved rounds."""
    x, y = (part[:BATCH] for part in TASKS[task](0)[0])
    steps = {}
    for name, way in WAYS.items():
        model = network(way, int(y.max()) + 1, SAMPLING_STRIDES[task])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        decay = torch.optim.lr_scheduler.ConstantLR(optimizer)
        steps[name] = partial(step, model, optimizer, decay, x, y)
    return {name: 1e3 * samples.typical for name, samples in interleaved(steps, "cpu", rounds).items()}


def mean_of(runs, what, at=-1):
    return statistics.mean(run[what][at] for run in runs)


def table(report):
    """The rows of docs/training.md."""
    titles = ["task", "network", "learning rate", "loss, first epoch", "last epoch", "test loss"]
    titles += ["test accuracy, first epoch", "last epoch (worst, best seed)", "ms a step"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for task, ways in report.items():
        for name, found in ways.items():
            runs = found["runs"]
            epoch = len(runs[0]["loss"]) // len(runs[0]["accuracy"])
            first = statistics.mean(np.mean(r["loss"][:epoch]) for r in runs)
            last = statistics.mean(np.mean(r["loss"][-epoch:]) for r in runs)
            ends = [r["accuracy"][-1] for r in runs]
            accuracy = f"{statistics.mean(ends):.1%} ({min(ends):.1%}, {max(ends):.1%})"
            lines.append(
                f"| {task} | {name} | {found['rate']} | {first:.3f} | {last:.4f} | {mean_of(runs, 'test_loss'):.3f} "
                f"| {mean_of(runs, 'accuracy', 0):.1%} | {accuracy} | {found['milliseconds']:.1f} |"
            )
    return "\n".join(lines)


def figure(report, path):
    """Training loss and test accuracy of both tasks: means of the seeds, and their range."""
    import matplotlib as mpl  # noqa: PLC0415  an extra
    from matplotlib import pyplot, ticker  # noqa: PLC0415

    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "ndbench"
    sheet, axes = pyplot.subplots(2, len(report), figsize=(10, 7), layout="constrained")
    for column, (task, ways) in zip(axes.T, report.items(), strict=True):
        for name, found in ways.items():
            epochs = np.arange(1, len(found["runs"][0]["accuracy"]) + 1)
            losses = np.array([np.reshape(r["loss"], (len(epochs), -1)).mean(1) for r in found["runs"]])
            accuracies = np.array([run["accuracy"] for run in found["runs"]])
            for axis, values in zip(column, (losses, 100 * (1 - accuracies)), strict=True):
                (line,) = axis.plot(epochs, values.mean(0), label=f"{name}, learning rate {found['rate']}")
                axis.fill_between(epochs, values.min(0), values.max(0), alpha=0.2, color=line.get_color())
        column[0].set(title=task, ylabel="training loss, mean of the epoch", yscale="log")
        column[1].set(xlabel="epoch", ylabel="test error, %", ylim=(0, None))
        column[0].yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        column[0].yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        column[0].yaxis.set_minor_formatter(ticker.NullFormatter())
        column[1].legend(loc="upper right")
    sheet.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--digits-epochs", type=int, default=15)
    parser.add_argument("--crops-epochs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--draw", action="store_true", help="the figure and tables of the training.json that is there")
    parser.add_argument("--output", type=Path, default=DOCS, help="folder of training.json and training.svg")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    path = arguments.output / "training.json"
    if not arguments.draw:
        started = time.perf_counter()
        tasks = measured(arguments.seeds, {"digits": arguments.digits_epochs, "crops": arguments.crops_epochs})
        about = {"torch": torch.__version__, "threads": arguments.threads, "seconds": time.perf_counter() - started}
        path.write_text(json.dumps({"about": about, "tasks": tasks}) + "\n")
    found = json.loads(path.read_text())
    figure(found["tasks"], path.with_suffix(".svg"))
    print(f"\n{table(found['tasks'])}\n\n{found['about']}")


if __name__ == "__main__":
    main()
