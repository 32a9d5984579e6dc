"""What kernels cannot do is refused with who, what, and what to do instead; what they can do is right in any layout."""

import re
from functools import partial

import pytest
import torch

from ndbench import inverse_sqrt, patch_covariance
from ndbench.covariance import Patches
from ndbench.covariance.classes import Classes
from ndbench.kernels.covariance.derivatives import by_kernels
from ndbench.kernels.covariance.limits import FARTHEST, LARGEST, channels_in_a_class, require_sizes
from ndbench.kernels.roots import by_kernels as by_steps
from ndbench.kernels.runtime import interpreted, unreadable
from ndbench.operations import backends
from ndbench.roots.adjoints.choice import steps_of

METHODS = ("newton_schulz", "minimax_cubic", "minimax_quintic", "denman_beavers")
ROOTS = {method: partial(inverse_sqrt, method=method, backend="triton") for method in METHODS}
COVARIANCES = {
    algorithm: partial(patch_covariance, kernel_size=2, algorithm=algorithm, backend="triton")
    for algorithm in ("im2col", "lagged", "auto")
}
every_root = pytest.mark.parametrize("root", ROOTS.values(), ids=ROOTS)
every_covariance = pytest.mark.parametrize("covariance", COVARIANCES.values(), ids=COVARIANCES)


def images(device):
    return torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(0)).to(device)


def matrices(device):
    X = torch.randn(2, 5, 9, generator=torch.Generator().manual_seed(0))
    return (X @ X.mT + torch.eye(5)).to(device)


def negated_when_read(x):
    """The same values, as memory of which PyTorch remembers that it is negated."""
    view = torch.complex(torch.zeros_like(x), -x).conj().imag
    assert view.is_neg()
    assert torch.equal(view, x)
    return view


WRONG = {
    "float64": (lambda x: x.double(), TypeError, "float32, float16 or bfloat16; got torch.float64"),
    "integers": (lambda x: x.long(), TypeError, "real floating-point"),
    "complex": (lambda x: x + 0j, TypeError, "real floating-point"),
    "eight bits": (lambda x: x.to(torch.float8_e4m3fn), TypeError, "real floating-point"),
    "nested": (lambda x: torch.nested.nested_tensor(list(x)), TypeError, "must be one tensor; got a nested one"),
    "sparse": (lambda x: x.to_sparse(), TypeError, r"must be dense; got layout torch.sparse_coo; call to_dense\(\)"),
    "negated": (negated_when_read, TypeError, r"call resolve_neg\(\) first"),
    "no tensor": (lambda x: [[1.0]], TypeError, "list"),
    "meta": (lambda x: x.to("meta"), ValueError, "run on a GPU; got a tensor on meta"),
    "few dimensions": (lambda x: x.flatten(), ValueError, r"shape|square"),
}
prototypes = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
every_wrong_input = pytest.mark.parametrize(("change", "error", "message"), WRONG.values(), ids=WRONG)


@every_root
@prototypes
@every_wrong_input
def test_wrong_matrices(device, root, change, error, message):
    with pytest.raises(error, match=f"inverse_sqrt: .*({message})"):
        root(change(matrices(device)))


@every_covariance
@prototypes
@every_wrong_input
def test_wrong_images(device, covariance, change, error, message):
    with pytest.raises(error, match=f"patch_covariance: .*({message})"):
        covariance(change(images(device)))


OPTIONS = {
    "unknown precision": ({"precision": "fp8"}, torch.float32, ValueError, "precision must be one of"),
    "no name": ({"precision": 3}, torch.float32, ValueError, "precision must be one of"),
    "of float32 alone": ({"precision": "tf32x3"}, torch.float16, ValueError, "use precision='ieee'"),
    "adjoint": ({"adjoint": "autograd"}, torch.float32, NotImplementedError, "adjoint of their own"),
}
every_wrong_option = pytest.mark.parametrize("wrong", OPTIONS.values(), ids=OPTIONS)


@every_root
@every_wrong_option
def test_wrong_options_of_roots(device, root, wrong):
    options, dtype, error, message = wrong
    if dtype == torch.float16 and root is ROOTS["denman_beavers"]:
        # half types are computed in float32, which has all three
        assert root(matrices(device).half(), **options).dtype == dtype
        return
    with pytest.raises(error, match=f"inverse_sqrt: .*{message}"):
        root(matrices(device).to(dtype), **options)


@every_covariance
@every_wrong_option
def test_wrong_options_of_covariances(device, covariance, wrong):
    options, dtype, error, message = wrong
    with pytest.raises(error, match=f"patch_covariance: .*{message}"):
        covariance(images(device).to(dtype), **options)


@pytest.mark.parametrize("precision", ["tf32x3", "tf32"])
def test_precisions_that_amd_devices_lack(device, precision, monkeypatch):
    monkeypatch.setattr(torch.version, "hip", "7.0")
    told = f": AMD devices multiply float32 in 'ieee' only; got precision='{precision}'"
    for root in ROOTS.values():
        with pytest.raises(ValueError, match=f"inverse_sqrt{told}"):
            root(matrices(device), precision=precision)
    for covariance in COVARIANCES.values():
        with pytest.raises(ValueError, match=f"patch_covariance{told}"):
            covariance(images(device), precision=precision)


def test_what_no_kernel_serves(device):
    with pytest.raises(NotImplementedError, match=r"patch_covariance: there is no Triton kernel for .* 'shifted'"):
        patch_covariance(images(device), 2, algorithm="shifted", backend="triton")
    with pytest.raises(NotImplementedError, match="inverse_sqrt: there is no Triton kernel for method 'spectral'"):
        inverse_sqrt(matrices(device), method="spectral", backend="triton")


def test_without_triton(device, monkeypatch):
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    for function, x in ((ROOTS["newton_schulz"], matrices(device)), (COVARIANCES["auto"], images(device))):
        with pytest.raises(ImportError, match="needs Triton, which is not installed; use backend='torch'"):
            function(x)


@pytest.mark.skipif(interpreted(), reason="the interpreter takes tensors on the CPU")
def test_the_cpu_runs_no_kernels():
    for function, x in ((ROOTS["newton_schulz"], matrices("cpu")), (COVARIANCES["auto"], images("cpu"))):
        with pytest.raises(ValueError, match="Triton kernels run on a GPU; got a tensor on the CPU"):
            function(x)


@every_covariance
@pytest.mark.parametrize("axis", range(4))
@pytest.mark.parametrize("padding", [0, 1])
def test_images_without_rows(device, covariance, axis, padding):
    with pytest.raises(ValueError, match="patch_covariance: a covariance needs at least one row"):
        covariance(images(device).narrow(axis, 0, 0), padding=padding)


@every_root
@pytest.mark.parametrize("shape", [(0, 3, 3), (2, 0, 0), (2, 0, 3, 3)])
def test_no_matrices(device, root, shape):
    A = torch.zeros(shape, device=device, requires_grad=True)
    D = root(A)
    assert D.shape == shape
    assert torch.autograd.grad(D.sum(), A)[0].shape == shape
    with pytest.raises(TypeError, match=r"got torch\.float64"):
        root(A.double())
    with pytest.raises(ValueError, match="precision must be one of"):
        root(A, precision="fp8")


@every_root
def test_matrices_at_fault(device, root):
    A = matrices(device)
    A[1, 0, 0] = torch.nan
    with pytest.raises(ValueError, match=re.escape("inverse_sqrt: A must be symmetric positive definite and finite")):
        root(A)
    D = root(A, check=False)
    assert D[1].isnan().all()
    assert torch.equal(D[0], root(A[:1])[0])


@every_covariance
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_images_that_are_not_finite(device, covariance, value):
    x = images(device)
    x[0, 0, 0, 0] = value
    if device == "cpu":
        with pytest.raises(ValueError, match="patch_covariance: x must be finite; got 1 NaN or infinite values of 240"):
            covariance(x)
    else:
        assert not covariance(x)[1].isfinite().all()


@every_root
def test_matrices_in_other_layouts(device, root):
    A, wanted = matrices(device), root(matrices(device))
    wide = torch.full((2, 10, 7), torch.nan, device=device)
    wide[:, ::2, 1:6] = A
    for other in (A.mT, wide[:, ::2, 1:6], A[:1].expand(2, 5, 5)):
        torch.testing.assert_close(root(other), wanted if other.stride(0) else wanted[:1].expand(2, 5, 5))


GEOMETRIES = {
    "patches": ((1, 1, 3, 3), {"padding": 40_000}, f"{LARGEST} patches of an image; got {80_002**2}"),
    "pixels": ((1, 1, 2**16, 2**15), {"stride": 1000}, f"{LARGEST} pixels of an image; got {2**31}"),
    "rows": ((1, 1, 3, 3), {"padding": (FARTHEST, 0), "stride": 1000}, f"{FARTHEST} rows or columns of a padded image"),
    "columns": ((1, 2**30, 2, 2), {}, f"{2**31 - 1} columns of the patch matrix; got {2**32}"),
    "a class": ((1, 46_341, 2, 2), {}, "46340 channels in a class; got 46341"),
    # kernels of 4 pixels and 2 groups: all channels are of one class
    "an interleaved class": ((1, 46_342, 2, 2), {"block": 23_171, "grouping": "interleaved"}, "46340 channels in a"),
}


@pytest.mark.parametrize("algorithm", ["im2col", "lagged", "auto"])
@pytest.mark.parametrize(("shape", "options", "message"), GEOMETRIES.values(), ids=GEOMETRIES)
def test_sizes_that_32_bits_do_not_number(device, algorithm, shape, options, message):
    x = torch.zeros((), device=device).expand(shape)
    with pytest.raises(ValueError, match=f"patch_covariance: Triton kernels take at most {message}"):
        by_kernels(x, Patches.of(2, **options), algorithm, "ieee")


def test_the_largest_sizes_are_taken():
    require_sizes((2**40, 3, 2**15, 2**15), Patches.of(3, padding=1), "f")
    require_sizes((1, 2**25, 7, 7), Patches.of(7, padding=3, block=2**15), "f")


@pytest.mark.parametrize("grouping", ["channel", "interleaved"])
@pytest.mark.parametrize("kernel", [1, 2, (2, 3)])
@pytest.mark.parametrize("block", [2, 4, 6, 9])
def test_classes_are_counted_before_they_are_made(kernel, block, grouping):
    patches = Patches.of(kernel, block=block, grouping=grouping)
    assert channels_in_a_class(36, patches) == Classes.of(patches, 36, torch.device("cpu")).members.shape[1]


def test_orders_that_32_bits_do_not_number(device):
    A = torch.zeros((), device=device).expand(46_337, 46_337)
    with pytest.raises(ValueError, match=r"inverse_sqrt: .* take orders up to 46336; got 46337; use backend='torch'"):
        by_steps(steps_of("denman_beavers", 2, 1e-4, 0), "ieee", recorded=False).run(A)


NEGATED = {
    **{method: (root, matrices, lambda D: D) for method, root in ROOTS.items()},
    **{algorithm: (f, images, lambda found: found[1]) for algorithm, f in COVARIANCES.items()},
    "mean": (COVARIANCES["auto"], images, lambda found: found[0]),
}


@pytest.mark.parametrize(("function", "made", "of"), NEGATED.values(), ids=NEGATED)
def test_upstream_gradients_that_are_negated_when_read(device, function, made, of):
    x = made(device).requires_grad_()
    y = of(function(x))
    upstream = torch.linspace(1, 2, y.numel(), device=device).view(y.shape)
    (wanted,) = torch.autograd.grad(y, x, upstream, retain_graph=True)
    # autograd passes on the negated view, as it does behind torch.complex(1, D).conj()
    (found,) = torch.autograd.grad(y, x, negated_when_read(upstream))
    assert torch.equal(found, wanted)


def test_auto_takes_torch_for_what_kernels_cannot_read():
    x = torch.ones(3)
    assert not unreadable(x)
    assert "resolve_neg" in unreadable(negated_when_read(x))
    assert "to_dense" in unreadable(x.to_sparse())
