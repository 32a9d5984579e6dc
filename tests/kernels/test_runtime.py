"""Where launches go."""

from contextlib import nullcontext

import pytest
import torch

from ndbench import inverse_sqrt, patch_covariance


def root(x, method):
    inverse_sqrt(
        x[:, 0] @ x[:, 0].mT + torch.eye(3).to(x), method=method, backend="triton", check=False
    ).sum().backward()


def covariance(x, algorithm):
    sum(part.sum() for part in patch_covariance(x, 2, algorithm=algorithm, backend="triton")).backward()


@pytest.mark.parametrize(
    ("operation", "way"),
    [(root, "newton_schulz"), (root, "denman_beavers"), (covariance, "im2col"), (covariance, "lagged")],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_launches_go_to_the_device_of_the_input(operation, way, device, monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "device_of", lambda A: asked.append(A.device.type) or nullcontext())
    operation(torch.randn(1, 2, 3, 3, generator=torch.Generator().manual_seed(0)).to(device).requires_grad_(), way)
    # forward and backward, which autograd may run in another thread
    assert asked == [torch.device(device).type] * 2
