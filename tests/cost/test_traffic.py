import pytest
import torch

from ndbench.cost.traffic import traffic

x = torch.ones(1000)
A = torch.ones(3, 4)
OPERATORS = {
    "elementwise": (lambda: x + x, 12000),
    "reduction": (x.sum, 4004),
    "product": (lambda: A @ A.T, 4 * (12 + 12 + 9)),
    "in place": (lambda: torch.empty(1000).copy_(x), 12000),
    "half precision": (x.half, 6000),
    "views": (lambda: x.view(10, 100).T[3:].unsqueeze(0), 0),
    "allocations": (lambda: torch.empty(5).new_empty(7), 0),
    "filled": (lambda: torch.zeros(5), 20),
    "several results": (lambda: torch.var_mean(x), 4008),
    "a list of arguments": (lambda: torch.cat([x, x]), 16000),
}


@pytest.mark.parametrize("case", OPERATORS)
def test_each_operator_reads_its_arguments_and_writes_its_results(case):
    function, moved = OPERATORS[case]
    assert traffic(function) == moved


def test_the_backward_pass_counts():
    leaf = x.clone().requires_grad_()

    def step():
        # forward reads x twice and writes the squares; backward reads upstream and x twice and adds the two
        torch.autograd.grad(leaf * leaf, leaf, x)

    assert traffic(step) == 4000 * (3 + 3 + 3 + 3)


def test_one_more_intermediate_shows():
    assert traffic(lambda: x * 2 * 2) - traffic(lambda: x * 2) == 8000
