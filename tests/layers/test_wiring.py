import gc
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from ndbench.layers.wiring import Wiring


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.idle = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1)

    def forward(self, x):
        return self.norm(self.conv(self.conv(x)))


class Branching(nn.Module):
    """Looks at values, which cannot be traced."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)
        self.tail = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
        self.rest = nn.ModuleList([nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))])

    def forward(self, x):
        x = self.norm(self.conv(x))
        return self.rest[0](self.tail(x)) if x.sum() > 0 else x


class TrainingAside(nn.Module):
    """Uses the convolution's output for something else when training."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.aside = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1)

    def forward(self, x):
        y = self.conv(x)
        return (self.norm(y), self.aside(y)) if self.training else self.norm(y)


class Optional(nn.Module):
    """Uses the convolution's output for something else when told to, or when not."""

    def __init__(self, wanted):
        super().__init__()
        self.conv, self.norm, self.wanted = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), wanted

    def forward(self, x, mask=None):
        y = self.conv(x)
        return self.norm(y) + (y if (mask is not None) == self.wanted else 0)


class TracedOnlyInEvaluation(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)

    def forward(self, x):
        y = self.conv(x)
        if self.training and y.sum() > 0:
            return self.norm(y) + y
        return self.norm(y)


class Keeping(nn.Module):
    """Changes itself when called."""

    def __init__(self):
        super().__init__()
        self.conv, self.last = nn.Conv2d(2, 2, 1), None
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x):
        self.count += 1
        self.last = self.conv(x)
        return self.last


class Halves(nn.Module):
    """Takes a value apart, which leaves `forward` and what it holds in a cycle."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)

    def forward(self, x):
        left, right = x.chunk(2, 1)
        y = self.conv(left)
        return torch.cat([self.norm(y), right], 1)


class KeepingSometimes(nn.Module):
    """Keeps a value, and forgets it in the next call."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.last = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), None

    def forward(self, x, mask=None):
        y = self.conv(x)
        self.last = y if mask is None else None
        return self.norm(y)


@contextmanager
def collections_asked_for():
    """The generations that are collected where nothing is by itself."""
    found = []

    def note(phase, info):
        if phase == "start":
            found.append(info["generation"])

    enabled = gc.isenabled()
    gc.disable()
    gc.callbacks.append(note)
    try:
        yield found
    finally:
        gc.callbacks.remove(note)
        if enabled:
            gc.enable()


def test_values_in_cycles_are_not_kept_and_no_old_objects_are_searched_for_them():
    network = nn.Sequential(Halves(), Halves())
    with collections_asked_for() as found:
        wiring = Wiring.of(network)
    assert found
    assert set(found) == {0}
    assert [wiring.source(f"{k}.norm") for k in range(2)] == ["0.conv", "1.conv"]


@pytest.mark.parametrize("enabled", [True, False])
def test_collection_is_left_as_it_is(enabled):
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        Wiring.of(nn.Sequential(Halves(), Branching()))
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_what_one_call_keeps_and_the_next_forgets_counts():
    assert Wiring.of(KeepingSometimes()).source("norm") is None


def test_the_source_of_a_module_in_sequence():
    wiring = Wiring.of(nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.ReLU(), nn.BatchNorm2d(2)))
    assert [wiring.source(name) for name in "0123"] == [None, "0", "1", "2"]
    assert [wiring.doubt(name) for name in "0123"] == [None] * 4
    assert len(wiring.traces) == 2


def test_a_module_called_twice_and_one_called_never():
    wiring = Wiring.of(Twice())
    assert wiring.doubt("conv") == "called 2 times, on inputs of different statistics"
    assert wiring.doubt("idle") == "forward does not call it"
    assert wiring.doubt("norm") is None


def test_what_cannot_be_traced_is_taken_apart():
    wiring = Wiring.of(nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), Branching()))
    assert (wiring.source("1"), wiring.source("2.tail.1"), wiring.source("2.rest.0.1")) == (
        "0",
        "2.tail.0",
        "2.rest.0.0",
    )
    assert wiring.doubt("2.tail.0") is None
    assert wiring.doubt("2.conv").startswith("called, if at all, by 2, which cannot be traced: symbolically traced")
    assert list(wiring.opaque) == ["2"]


def test_the_model_itself_may_be_what_cannot_be_traced():
    wiring = Wiring.of(Branching())
    assert list(wiring.opaque) == [""]
    assert wiring.source("tail.1") == "tail.0"
    assert wiring.doubt("norm").startswith("called, if at all, by the model, which cannot be traced")


def test_both_modes_count():
    wiring = Wiring.of(TrainingAside())
    assert wiring.source("norm") is None
    assert wiring.doubt("aside") is None
    assert wiring.origin("norm") == "conv, conv (used elsewhere too)"


def test_optional_arguments_count_given_and_not():
    assert Wiring.of(Optional(wanted=True)).source("norm") is None
    assert Wiring.of(Optional(wanted=False)).source("norm") is None


def test_what_is_traced_in_one_mode_only_is_taken_apart_in_both():
    wiring = Wiring.of(nn.Sequential(TracedOnlyInEvaluation()))
    assert wiring.source("0.norm") is None
    assert wiring.doubt("0.conv").startswith("called, if at all, by 0")


def test_parameters_used_outside_their_module():
    network = nn.Sequential(nn.Conv2d(2, 2, 1))

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network

        def forward(self, x):
            return nn.functional.conv_transpose2d(self.net(x), self.net[0].weight)

    assert Wiring.of(Tied()).doubt("net.0") == "its parameters are used outside its own call"


def test_the_network_is_left_as_it_is():
    network = Keeping().train()
    assert Wiring.of(network).doubt("conv") is None
    assert network.training
    assert network.last is None
    assert network.count == 0
