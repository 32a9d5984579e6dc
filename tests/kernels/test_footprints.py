"""What calls of kernels allocate on shapes alone, against calls with memory."""

from functools import partial

import pytest
import torch

from ndbench.cost.launches import beside_launches
from ndbench.kernels import covariance
from ndbench.kernels.covariance.adjoint import adjoint
from ndbench.kernels.denman_beavers import ProductFormKernels
from ndbench.kernels.newton_schulz import CoupledKernels
from ndbench.kernels.runtime import interpreted
from tests.kernels.test_executed import COUPLED, GEOMETRIES, PRODUCT_FORM

pytestmark = pytest.mark.skipif(not interpreted(), reason="kernels take tensors on the CPU in the interpreter")


@pytest.mark.parametrize(("shape", "patches"), GEOMETRIES, ids=str)
def test_covariances(shape, patches):
    def taken(device):
        x = torch.ones(shape, device=device)
        mean, cov = (moment.to(device) for moment in covariance.im2col(torch.ones(shape), patches, "ieee"))
        forward = [
            beside_launches(partial(covariance.ALGORITHMS[name], x, patches, "ieee")) for name in ("im2col", "lagged")
        ]
        return [*forward, beside_launches(partial(adjoint, x, mean, mean, cov, patches, precision="ieee"))]

    assert taken("meta") == taken("cpu")


@pytest.mark.parametrize("n", [20, 40, 130])
def test_roots(n):
    def taken(device):
        A = torch.eye(n, device=device).repeat(1, 1, 1)
        steps = CoupledKernels(COUPLED["quintic"], "ieee")
        product_form = ProductFormKernels(PRODUCT_FORM, "ieee", keep=True)
        calls = [partial(steps.run, A), partial(steps.pull_back, A, (), A), partial(product_form.run, A)]
        return [*map(beside_launches, calls), beside_launches(partial(product_form.pull_back, A, (), A))]

    assert taken("meta") == taken("cpu")
