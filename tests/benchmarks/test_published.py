import pytest
import torch

from benchmarks.published import PublishedDeconv
from ndbench.layers.published import FastDeconv


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("block", "sampling_stride"), [(8, 3), (4, 1)])
def test_the_rendering_is_the_published_method(block, sampling_stride):
    arguments = {"padding": 1, "block": block, "sampling_stride": sampling_stride}
    timed = PublishedDeconv(8, 6, 3, **arguments).double()
    exact = FastDeconv(8, 6, 3, **arguments).double()
    exact.load_state_dict(timed.state_dict())
    found = []
    for layer in (timed, exact):
        x = (random(4, 8, 9, 7) + 1).requires_grad_()
        y = layer(x)
        y.backward(random(*y.shape, seed=1))
        found.append({"y": y, "x": x.grad, "weight": layer.weight.grad, "bias": layer.bias.grad, **layer.state_dict()})
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name], rtol=1e-8, atol=1e-9, msg=name)


def test_the_rendering_refuses_what_it_does_not_serve():
    with pytest.raises(ValueError, match="one group"):
        PublishedDeconv(8, 6, 1, block=4)
