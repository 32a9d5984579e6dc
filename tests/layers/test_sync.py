"""Gloo processes on one machine, against one process with the joined batch."""

import datetime
import os
import time

import pytest
import torch
from torch import distributed as dist
from torch import multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from ndbench.layers import ChannelDeconv1d, ChannelDeconv2d, Deconv2d, DeconvLinear, convert_sync
from ndbench.layers.published import ChannelDeconv, Delinear, FastDeconv

BATCHES = {2: (3, 5), 4: (3, 0, 4, 2)}
LONGEST = 180
"""Seconds: three times the longest that a collective may wait."""


def model():
    torch.manual_seed(0)
    return nn.Sequential(
        Deconv2d(4, 6, 3, padding=1, sampling_stride=1),
        nn.Tanh(),
        Deconv2d(6, 6, 3, groups=2, sampling_stride=2),
        ChannelDeconv2d(6, affine=True, block=3, sampling_stride=1, running="covariance"),
        nn.Flatten(),
        DeconvLinear(6 * 16, 3, block=8),
        ChannelDeconv1d(3),
    ).double()


def inputs(sizes):
    """Batches that differ in mean and scale."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randn((n, 4, 6, 6), generator=generator, dtype=torch.float64) * (k + 1) + k
            for k, n in enumerate(sizes)]  # fmt: skip


def step(network, x):
    """Outputs, and the gradients of the sum of squares, after two batches."""
    x = x.clone().requires_grad_()
    network(x.detach() * 0.5)
    y = network(x)
    y.square().sum().backward()
    return y.detach(), x.grad


def start(rank, world, path, seconds=60):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", f"file://{path}", rank=rank, world_size=world, timeout=datetime.timedelta(seconds=seconds)
    )


def spawn(function, world, folder):
    """Run it in so many processes, none of which may hang."""
    context = multiprocessing.spawn(function, (world, str(folder)), world, join=False)
    ends = time.monotonic() + LONGEST
    while not context.join(timeout=1):
        if time.monotonic() > ends:
            for process in context.processes:
                process.kill()
            pytest.fail(f"{function.__name__}: processes were still running after {LONGEST} s")


def leave():
    """End this process at once.

    Of some thirty runs that took the group down, two waited for ever; where, is not known.
    """
    os._exit(0)


def run_together(rank, world, folder):
    start(rank, world, f"{folder}/rendezvous")
    network = convert_sync(model())
    parallel = DistributedDataParallel(network)
    found = step(parallel, inputs(BATCHES[world])[rank])
    gradients = [parameter.grad for parameter in network.parameters()]
    torch.save((found, gradients, network.state_dict(), network.eval()(inputs((2,))[0])), f"{folder}/{rank}")
    leave()


@pytest.mark.parametrize("world", [2, 4])
def test_as_one_process_with_the_joined_batch(world, tmp_path):
    spawn(run_together, world, tmp_path)
    alone = model()
    y, dx = step(alone, torch.cat(inputs(BATCHES[world])))
    results = [torch.load(tmp_path / str(rank)) for rank in range(world)]
    close = {"rtol": 1e-9, "atol": 1e-9}
    torch.testing.assert_close(torch.cat([found[0] for found, *_ in results]), y, **close)
    torch.testing.assert_close(torch.cat([found[1] for found, *_ in results]), dx, **close)
    for _, gradients, state, evaluated in results:
        for ours, parameter in zip(gradients, alone.parameters(), strict=True):
            torch.testing.assert_close(ours * world, parameter.grad, **close)  # DistributedDataParallel averages
        torch.testing.assert_close(state, alone.state_dict(), **close)
        torch.testing.assert_close(evaluated, alone.eval()(inputs((2,))[0]), **close)


def second(layer, x):
    """The gradient of the squared gradient of the sum of cubes."""
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x).pow(3).sum(), x, create_graph=True)
    gradient.square().sum().backward()
    return x.grad


def run_second(rank, world, folder):
    start(rank, world, f"{folder}/rendezvous")
    torch.save(second(convert_sync(model()[:1]), inputs(BATCHES[world])[rank]), f"{folder}/{rank}")
    leave()


def test_second_derivatives_too_are_those_of_the_joined_batch(tmp_path):
    spawn(run_second, 2, tmp_path)
    found = torch.cat([torch.load(tmp_path / str(rank)) for rank in range(2)])
    torch.testing.assert_close(found, second(model()[:1], torch.cat(inputs(BATCHES[2]))), rtol=1e-9, atol=1e-9)


def run_alone(rank, world, folder):
    """One process falls out before the second batch; the others must not hang."""
    start(rank, world, f"{folder}/rendezvous", seconds=5)
    network = convert_sync(model())
    x = inputs((3,) * world)[rank]
    network(x)
    if rank == 1:
        os._exit(0)
    try:
        network(x)
    except RuntimeError as error:
        torch.save(str(error), f"{folder}/{rank}")
    os._exit(0)


def test_a_peer_that_dies_is_an_error(tmp_path):
    spawn(run_alone, 2, tmp_path)
    assert torch.load(tmp_path / "0")


def run_nan(rank, world, folder):
    start(rank, world, f"{folder}/rendezvous")
    network = convert_sync(model())
    network[0].padding = 0
    x = inputs((3,) * world)[rank]
    with pytest.raises(ValueError, match="the running averages are as they were"):
        network(x * (torch.nan if rank else 1))
    assert network[0].num_batches_tracked == 0
    with pytest.raises(ValueError, match=r"^Deconv2d: .* no process has any"):
        network(x[:0])
    with pytest.raises(ValueError, match=r"^Deconv2d: .* a single counted patch of all processes together has none"):
        network(x[:rank, :, :3, :3])
    leave()


def test_bad_batches_are_refused_by_all(tmp_path):
    spawn(run_nan, 2, tmp_path)


def test_alone_it_is_as_without():
    x = inputs((4,))[0]
    synced, plain = convert_sync(model()), model()
    torch.testing.assert_close(step(synced, x), step(plain, x), rtol=0, atol=0)


def test_nothing_to_convert():
    with pytest.raises(ValueError, match="Linear has no layer of ndbench"):
        convert_sync(nn.Linear(2, 2))


def test_nothing_is_synchronized_by_half():
    network = nn.Sequential(Deconv2d(3, 4, 3), nn.Sequential(ChannelDeconv(4)))
    with pytest.raises(ValueError, match=r"convert_sync: 1\.0, the published ChannelDeconv, .*; use .*ChannelDeconv2d"):
        convert_sync(network)
    assert not network[0].options.sync


@pytest.mark.parametrize("arguments", [{}, {"sampling_stride": 1, "stride": 2}, {"sampling_stride": 2, "groups": 2}])
def test_rows_that_depend_on_who_holds_them_are_refused(arguments):
    network = nn.Sequential(Deconv2d(4, 4, 3), FastDeconv(4, 4, 1, **arguments))
    with pytest.raises(ValueError, match=r"convert_sync: 1, a published FastDeconv of one pixel, .*; use .*Deconv2d"):
        convert_sync(network)
    assert not network[0].options.sync


def published():
    torch.manual_seed(0)
    return nn.Sequential(
        FastDeconv(4, 6, 3, block=2, padding=1), FastDeconv(6, 4, 1, block=3, sampling_stride=1), nn.Flatten(),
        Delinear(4 * 36, 3, block=8),
    ).double()  # fmt: skip


def run_published(rank, world, folder):
    start(rank, world, f"{folder}/rendezvous")
    network = convert_sync(published())
    torch.save((step(network, inputs(BATCHES[world])[rank]), network.state_dict()), f"{folder}/{rank}")
    leave()


def test_the_other_published_layers_are_those_of_the_joined_batch(tmp_path):
    spawn(run_published, 2, tmp_path)
    alone = published()
    y, dx = step(alone, torch.cat(inputs(BATCHES[2])))
    results = [torch.load(tmp_path / str(rank)) for rank in range(2)]
    for k, wanted in enumerate((y, dx)):
        torch.testing.assert_close(torch.cat([found[k] for found, _ in results]), wanted, rtol=1e-9, atol=1e-9)
    for _, state in results:
        torch.testing.assert_close(dict(state), dict(alone.state_dict()), rtol=1e-9, atol=1e-9)
