import numpy as np
import pytest
import torch
from torch.nn import functional

from ndbench import inverse_sqrt, patch_covariance
from ndbench.cost.counting import NUMPY, Count, count, count_dots, linear_flops, peak_memory
from ndbench.kernels.runtime import interpreted
from ndbench.products import product, served


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_products_by_onednn_count():
    left, right = random(70, 80), random(80, 90, seed=1)
    assert served(left, right)
    assert count(lambda: product(left, right)).flops == 2 * 70 * 80 * 90
    assert linear_flops((70, 80), (90, 80)) == 2 * 70 * 80 * 90


@pytest.mark.parametrize("recorded", [False, True])
def test_the_definition_counts_whether_recorded_or_not(recorded):
    x = random(2, 4, 9, 8).requires_grad_(recorded)
    found = count(lambda: patch_covariance(x, 3, algorithm="im2col"))
    assert found.flops == 2 * (2 * 7 * 6) * 36**2


def test_backward_passes_count():
    A = torch.eye(6).requires_grad_()
    forward = count(lambda: inverse_sqrt(A, steps=4, adjoint="reverse")).flops
    both = count(lambda: inverse_sqrt(A, steps=4, adjoint="reverse").sum().backward()).flops
    assert forward == 9 * 2 * 6**3
    # reversing takes 4 products a step, but 2 in the first and 2 in the last
    assert both == forward + 12 * 2 * 6**3


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_gradients_of_a_convolution_cost_what_it_costs(groups, transposed):
    x, weight = random(2, 8, 7, 6).requires_grad_(), random(8, 8 // groups, 3, 2, seed=1).requires_grad_()
    convolve = functional.conv_transpose2d if transposed else functional.conv2d
    once = count(lambda: convolve(x, weight, groups=groups)).flops
    positions = 7 * 6 if transposed else 5 * 5
    assert once == 2 * 2 * positions * weight.numel()
    assert count(lambda: convolve(x, weight, groups=groups).sum().backward()).flops == 3 * once
    constant = x.detach()
    assert count(lambda: convolve(constant, weight, groups=groups).sum().backward()).flops == 2 * once


def test_nothing_counts_nothing():
    found = count(lambda: torch.ones(3).exp())
    assert found.flops == 0
    assert found.by_operator == {}


def test_peak_memory_is_what_lives_at_once():
    x = torch.ones(1000, dtype=torch.float64)

    def one_after_the_other():
        for _ in range(5):
            found = (x + x).sum()
        return found

    # the last sum is still bound while the next is computed
    assert peak_memory(one_after_the_other) == 8000 + 2 * 8
    assert peak_memory(lambda: [x + x for _ in range(5)]) == 5 * 8000
    assert peak_memory(lambda: x[:10].view(5, 2)) == 0


def test_freeing_what_existed_before_is_no_memory():
    held = [torch.ones(1000)]
    assert peak_memory(lambda: [held.pop(), torch.ones(100)][1:]) in (0, 400)


@pytest.mark.skipif(interpreted(), reason="this is about compiled kernels")
def test_compiled_kernels_are_not_counted():
    with pytest.raises(RuntimeError, match="TRITON_INTERPRET=1 before Python starts"):
        count_dots(lambda: None)


def test_a_gradient_for_the_input_of_a_module_is_counted():
    layer, x = torch.nn.Linear(4, 5, bias=False), torch.ones(3, 4, requires_grad=True)

    def gradients():
        torch.autograd.grad(layer(x).sum(), (x, layer.weight))

    assert count(gradients).flops == 3 * 2 * 3 * 4 * 5


def test_the_product_of_numpys_covariance_counts():
    rows = np.ones((7, 3))
    found = count(lambda: np.cov(rows, rowvar=False))
    assert found == Count(2 * 3 * 7 * 3, {NUMPY: 126})
    # and only inside
    assert count(lambda: None).flops == 0
    assert np.array_equal(np.cov(rows, rowvar=False), np.zeros((3, 3)))
