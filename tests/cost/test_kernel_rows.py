import torch

from ndbench.cost import kernel_rows, kernels
from ndbench.cost.geometry import Convolution, Layer, Whitening
from ndbench.roots.adjoints import Coupled, ProductForm
from ndbench.roots.coefficients import LIMITS

LAYER = Layer(Convolution.of((2, 8, 12, 12), 8, 3, padding=1), Whitening(block=8, sampling=1, steps=3))


def test_covariances_are_those_of_a_contiguous_input():
    x = torch.empty(LAYER.convolution.shape)
    found = {
        name: (forward.products, backward.products) for name, forward, backward, _ in kernel_rows.covariances(LAYER)
    }
    (_, backward), *_ = kernels.covariance_adjoint(x, LAYER.patches)
    assert found == {
        "triton im2col": (kernels.im2col(x, LAYER.patches)[0][1], backward),
        "triton lagged": (kernels.lagged(x, LAYER.patches)[0][1], backward),
    }


def test_roots_are_those_of_the_order_of_the_layer():
    A = torch.empty(1, 72, 72)
    found = {name: sides for name, *sides, _ in kernel_rows.roots(LAYER)}
    steps, product_form = Coupled((LIMITS[3],) * 3), ProductForm(3, 3)
    forward, backward = found["triton newton_schulz"]
    assert forward.products == kernels.coupled(A, steps)[0][1]
    assert backward.products == kernels.coupled_adjoint(A, steps)[0][1]
    forward, backward = found["triton denman_beavers"]
    assert forward.products == sum(flops for _, flops in kernels.product_form(A, product_form))
    assert forward.estimated == 3 * 4 * 72**3 // 3
    assert backward.products == sum(flops for _, flops in kernels.product_form_adjoint(A, product_form))
