"""What launches compile is what variants declare: no more, which nobody would have judged, and no less.

Kernels are looked at and nothing runs. Triton compiles a kernel for the types, constants and options of a launch, and
for what it finds out about arguments that are specialized: that a number is 1 or divisible by 16, that a pointer is
aligned, and on AMD that its tensor takes less than 2 GiB.
"""

from itertools import product

import pytest
import torch

from ndbench.covariance import Patches
from ndbench.kernels import covariance, denman_beavers, newton_schulz, precision
from ndbench.kernels.covariance.adjoint import adjoint
from ndbench.kernels.denman_beavers import ProductFormKernels
from ndbench.kernels.newton_schulz import CoupledKernels
from ndbench.kernels.newton_schulz.multiplication import MULTIPLICATIONS
from ndbench.roots.adjoints import Coupled, ProductForm
from ndbench.roots.coefficients import LIMITS
from tests.kernels.compiled import BACKENDS, declared, watched
from tests.kernels.launches import DENMAN_BEAVERS, NEWTON_SCHULZ

every_vendor = pytest.mark.parametrize("vendor", BACKENDS)


@pytest.fixture
def launches(vendor, monkeypatch):
    """Watches kernels of modules, as a vendor's devices would launch them; gives the set of what they compile."""
    monkeypatch.setattr(torch.version, "hip", "7.0" if vendor == "amd" else None)
    # what the interpreter cannot multiply is launched too
    monkeypatch.setattr(precision, "interpreted", lambda: False)
    monkeypatch.setattr(newton_schulz, "require_kernel_input", lambda A, name: None)
    return lambda modules: watched(modules, vendor, monkeypatch)


def require_all_and_nothing_else(found, package, vendor):
    wanted = {declared(variant): variant.name for variant in package.variants() if vendor in variant.vendors}
    undeclared, idle = found - wanted.keys(), wanted.keys() - found
    assert not undeclared, "\n".join(["launched, and declared by no variant:", *sorted(undeclared)])
    assert not idle, "\n".join(["declared, and launched by nothing here:", *sorted(wanted[name] for name in idle)])


def matrices(n, count, dtype, device, misaligned):
    """Some of any content."""
    return torch.zeros((count, n + misaligned, n + misaligned), dtype=dtype, device=device)[:, misaligned:, misaligned:]


@every_vendor
def test_newton_schulz(vendor, launches, device):
    found = launches(NEWTON_SCHULZ)
    ways = [m for m in MULTIPLICATIONS if vendor in m.vendors]
    steps = [Coupled((LIMITS[3],) * 2), Coupled((LIMITS[5],) * 2)]
    for n, way, iteration in product((1, 7, 16, 17, 32, 33, 65, 128, 147, 577, 1001), ways, steps):
        kernels = CoupledKernels(iteration, way.precision)
        for misaligned in (0, 1):
            A = matrices(n, 3, way.dtype, device, misaligned)
            kernels.run(A)
            kernels.pull_back(A, (), A)
    require_all_and_nothing_else(found, newton_schulz, vendor)


@every_vendor
def test_denman_beavers(vendor, launches, device):
    found = launches(DENMAN_BEAVERS)
    precisions = ("ieee",) if vendor == "amd" else precision.PRECISIONS
    for n, way, misaligned in product((1, 7, 16, 17, 32, 33, 64, 65, 147), precisions, (0, 1)):
        A = matrices(n, 128 if n in (33, 65) else 1, torch.float32, device, misaligned)
        for keep in (False, True):
            kernels = ProductFormKernels(ProductForm(steps=2, scaled_steps=1), way, keep=keep)
            _, *saved = kernels.run(A)
            kernels.pull_back(A, tuple(saved), A)
    require_all_and_nothing_else(found, denman_beavers, vendor)


def layouts(x):
    """Zeros of the shape of x, whose neighbours in memory are pixels, channels, images or none, aligned or not."""
    yield x
    yield x.to(memory_format=torch.channels_last)
    for more in (1, 16):
        padded = torch.nn.functional.pad(x.permute(0, 2, 3, 1), (0, more)).permute(0, 3, 1, 2)
        yield from (padded[:, :-more], padded[:, more:], padded[:, 1 : x.shape[1] + 1])
    yield x.permute(3, 1, 2, 0).contiguous().permute(3, 1, 2, 0)
    yield x[:1, :1, :1, :1].expand(x.shape)


GEOMETRIES = [
    Patches.of(3, padding=1, block=block, pooled=pooled) for block, pooled in product((3, 4, 16, 24, 32, 64), (0, 1))
]
GEOMETRIES += [Patches.of((1, 2), stride=(1, 2), block=block, grouping="interleaved") for block in (1, 16)]


@every_vendor
def test_covariance(vendor, launches, device):
    found = launches(covariance.MODULES)
    ways = [(dtype, way) for dtype, way, vendors in precision.WAYS if vendor in vendors]
    # as the public functions find it
    assert all(precision.products_of_shifted(dtype, way) == way for dtype, way in ways)
    for patches, (dtype, way) in product(GEOMETRIES, ways):
        # many rows have more partial sums than are added up where they are read
        for count, (height, width) in product((1, 2), ((5, 7), (1, 2), (96, 64))):
            shape = 2, count * patches.block, height, width
            for x in layouts(torch.zeros(shape, dtype=dtype, device=device)):
                for algorithm in covariance.ALGORITHMS.values():
                    mean, cov = algorithm(x, patches, way)
                adjoint(x, mean, mean, cov, patches, precision=way)
    require_all_and_nothing_else(found, covariance, vendor)


def test_what_no_variant_declares_is_noticed():
    first, second = list(newton_schulz.variants())[:2]
    names = {declared(first), declared(second)}
    assert len(names) == 2
    with pytest.raises(AssertionError):
        require_all_and_nothing_else(names | {"another"}, newton_schulz, "nvidia")
    with pytest.raises(AssertionError):
        require_all_and_nothing_else(names, newton_schulz, "nvidia")
