"""When it is known that a linear layer gives (N, C), and that a batch normalization behind it can be folded."""

import pytest
import torch
from torch import nn

from ndbench.layers import convert
from tests.layers.networks import randomize, trained

ASSUMED = "folded into 0, whose output is taken to be (N, C)"


def head(*before):
    """A linear layer with its batch normalization, behind other modules."""
    return nn.Sequential(*before, nn.Linear(5, 5), nn.BatchNorm1d(5))


def test_where_sequences_may_come_evaluation_is_not_known():
    network = head().double()
    randomize(network)
    x = torch.randn(3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    network(x)
    network.eval()
    conversion = convert(network)
    assert not torch.allclose(conversion.model(x), network(x))
    torch.testing.assert_close(conversion.model(x[0]), network(x[0]))
    assert not conversion.exact
    assert conversion.replaced[1].reason == ASSUMED


class Called(nn.Module):
    """Brings its input into another shape first."""

    def __init__(self, before):
        super().__init__()
        self.before, self.linear, self.norm = before, nn.Linear(5, 5), nn.BatchNorm1d(5)

    def forward(self, x):
        return self.norm(self.linear(self.before(x)))


FLAT = {
    "flatten": lambda x: torch.flatten(x, 1),
    "flatten by name": lambda x: torch.flatten(x, start_dim=1, end_dim=-1),
    "method": lambda x: x.flatten(1),
    "view": lambda x: x.view(x.size(0), -1),
    "reshape": lambda x: x.reshape((-1, 5)),
    "activation": lambda x: nn.functional.relu(x.flatten(1)),
    "dropout": lambda x: nn.functional.dropout(torch.tanh(x.flatten(1)), 0.1, False),
    "sum": lambda x: x.flatten(1) + x.flatten(1),
}
OTHERS = {
    "none": lambda x: x,
    "activation": torch.relu,
    "other axes": lambda x: torch.flatten(x, 0, 1),
    "too many": lambda x: x.reshape(-1, 1, 5),
    "sum": lambda x: x + x.flatten(1),
    "unknown": lambda x: x.flatten(1).unsqueeze(1),
}


@pytest.mark.parametrize(
    ("before", "known"), [(f, True) for f in FLAT.values()] + [(f, False) for f in OTHERS.values()]
)
def test_calls_that_leave_rows(before, known):
    conversion = convert(Called(before))
    assert conversion.exact == known
    assert ("is taken to be" in conversion.replaced[1].reason) != known


@pytest.mark.parametrize(
    ("before", "known"),
    [
        ([nn.Flatten()], True),
        ([nn.Flatten(), nn.Linear(5, 5), nn.ReLU(), nn.Dropout()], True),
        ([nn.Flatten(), nn.Linear(5, 5), nn.BatchNorm1d(5), nn.GELU(), nn.Identity()], True),
        ([nn.Flatten(2)], False),
        ([nn.Flatten(1, 2)], False),
        ([nn.Linear(5, 5), nn.ReLU()], False),
        ([nn.Flatten(), nn.Unflatten(1, (1, 5))], False),
    ],
)
def test_modules_that_leave_rows(before, known):
    assert convert(head(*before)).exact == known
    assert (
        convert(trained(lambda: nn.Sequential(nn.Conv2d(3, 5, 8), nn.ReLU(), *head(*before)))).exact == known
        if known
        else True
    )
