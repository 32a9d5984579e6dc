"""Scaling of Triton kernels where they are interpreted; memory is what a call asks PyTorch for, nothing launched."""

import json
from dataclasses import replace

import pytest
import torch

from ndbench.catalog import CATALOG
from ndbench.cost import kernel_footprints
from ndbench.covariance import Patches
from ndbench.kernels.runtime import interpreted
from ndbench.verify.scaling import command, counts, memory
from ndbench.verify.scaling.problems import MEMORY, MEMORY_OF_ROOTS

pytestmark = pytest.mark.skipif(not interpreted(), reason="kernels take tensors on the CPU in the interpreter")

KERNELS = {
    i.name: replace(i, devices=("interpreter",))
    for i in CATALOG
    if i.law is not None and "interpreter" in i.devices and i.precision == "ieee"
}
ROOTS = [name for name, i in KERNELS.items() if i.operation == "inverse-sqrt"]
COVARIANCES = [name for name, i in KERNELS.items() if i.operation == "covariance"]
ORDERS = MEMORY_OF_ROOTS["full"][0]


@pytest.mark.parametrize("name", COVARIANCES)
def test_a_covariance_asks_for_what_its_footprint_holds(name):
    problem = MEMORY["quick"][0].at(64, 64)
    found, _ = kernel_footprints.covariance(
        name.partition(".")[0], (1, 1, 64, 64), Patches.of(3, padding=1, block=1), backward=False
    )
    # the check that all values are finite takes 7 bytes for each
    assert counts.memory(KERNELS[name], problem) == max(found.held, 7 * 64 * 64)


@pytest.mark.parametrize("name", ROOTS)
def test_a_root_asks_for_what_its_footprint_holds(name):
    """And for the symmetric matrix that the public function gives its kernels."""
    how = KERNELS[name].function.keywords
    for n in (32, 144):
        found, _ = kernel_footprints.root(how["method"], how["steps"], n, backward=False)
        more = counts.memory(KERNELS[name], ORDERS.at(n)) - found.held
        assert 0 <= more <= 4 * 4 * n**2


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_keep_their_memory(name):
    judge, families = (memory.orders, MEMORY_OF_ROOTS) if name in ROOTS else (memory.patches, MEMORY)
    for family in families["full"]:
        assert judge(KERNELS[name], family).measured <= 1


HIDDEN = {
    "side": lambda x, k, block: x.numel() * x.shape[2],
    "G": lambda x, k, block: x.numel() * block,
    "C": lambda x, k, block: x.numel() * x.shape[1],
    "k": lambda x, k, block: x.numel() * k,
}


@pytest.mark.parametrize("variable", HIDDEN)
@pytest.mark.parametrize("name", COVARIANCES)
def test_hidden_values_of_a_covariance_are_caught(name, variable):
    right = KERNELS[name].function

    def function(x, k, block, **how):
        _hidden = torch.empty(HIDDEN[variable](x, k, block))
        return right(x, k, block=block, **how)

    wrong = replace(KERNELS[name], function=function)
    families = [family for family in MEMORY["full"] if family.variable == variable]
    assert max(memory.patches(wrong, family).measured for family in families) > 1


@pytest.mark.parametrize("matrices", [lambda n: n, lambda n: 150], ids=["n", "150"])
@pytest.mark.parametrize("name", ROOTS)
def test_hidden_matrices_of_a_root_are_caught(name, matrices):
    right = KERNELS[name].unchecked

    def function(A):
        _hidden = torch.empty(matrices(A.shape[-1]), *A.shape[1:])
        return right(A)

    wrong = replace(KERNELS[name], function=function, unchecked=None)
    assert memory.orders(wrong, ORDERS).measured > 1


def test_kernels_are_judged_by_their_names(tmp_path):
    stored = tmp_path / "scaling.json"
    assert command.main(["--implementation", "newton_schulz.T5.triton.ieee", "--json", str(stored)]) == 0
    verdicts = json.loads(stored.read_text())["verdicts"]
    assert {v["check"] for v in verdicts if v["status"] == "passed"} == {"scaling-launches", "scaling-memory"}
