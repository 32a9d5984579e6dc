"""What is claimed: numbers of products, and claims that do not exist."""

import pytest

from ndbench.catalog import CATALOG
from ndbench.covariance import Patches
from ndbench.covariance.work import LaggedWork
from ndbench.laws import DEFINITIONS, PatchLaw, RootLaw

PAIRS, LAGS = PatchLaw(flops=4, memory=2), PatchLaw(flops=2, memory=0)


def pairs_that_differ(k, s):
    """Pairs of offsets (t, t') of one triangle, those of one lag counted once for each residue of t modulo s."""
    offsets = [(i, j) for i in range(k) for j in range(k)]
    pairs = [(t, u) for a, t in enumerate(offsets) for u in offsets[a:]]
    return len({(u[0] - t[0], u[1] - t[1], t[0] % s, t[1] % s) for t, u in pairs})


@pytest.mark.parametrize("k", range(1, 8))
@pytest.mark.parametrize("stride", [1, 2, 3, 7])
def test_lags_are_the_pairs_of_offsets_that_differ(k, stride):
    assert LAGS.products(k, stride) == pairs_that_differ(k, stride)


@pytest.mark.parametrize("k", range(1, 10))
def test_at_stride_one_and_at_stride_k(k):
    assert LAGS.products(k) == ((2 * k - 1) ** 2 + 1) // 2
    assert LAGS.products(k, stride=k) == k**2 * (k**2 + 1) // 2
    assert PAIRS.products(k) == PAIRS.products(k, stride=k) == k**4


@pytest.mark.parametrize("k", range(1, 10))
@pytest.mark.parametrize("stride", range(1, 10))
def test_lags_keep_the_law_of_the_paper_at_every_stride(k, stride):
    assert LAGS.products(k, stride) <= 2 * k**2 * stride**2


def test_the_plan_has_one_interior_piece_for_each_lag():
    work = LaggedWork.of((1, 1, 40, 40), Patches((5, 5), padding=(2, 2)))
    assert work.interior.pieces == LAGS.products(5)


def test_claims_that_do_not_exist():
    with pytest.raises(ValueError, match=r"^PatchLaw: flops must be the power of k, 2 or 4; got 3$"):
        PatchLaw(flops=3, memory=0)
    with pytest.raises(ValueError, match=r"^PatchLaw: memory must be the power of k, 0 or 2; got 1$"):
        PatchLaw(flops=2, memory=1)


def test_fewer_products_than_none_are_refused():
    with pytest.raises(ValueError, match=r"^RootLaw: products must not be negative; got -3"):
        RootLaw(-3)


def test_laws_are_printed_as_formulas():
    assert (str(PAIRS), str(LAGS), str(RootLaw())) == ("H W C G k^4", "H W C G k^2", "n^3")


def test_every_claim_is_one_of_its_operation():
    claimed = [i for i in CATALOG if i.law is not None]
    assert {i.operation for i in claimed} == set(DEFINITIONS)
    assert all(isinstance(i.law, type(DEFINITIONS[i.operation])) for i in claimed)


def test_what_the_covariances_claim():
    laws = {i.name: i.law for i in CATALOG if i.operation == "covariance" and i.law}
    assert {name for name, law in laws.items() if law.flops == 2} == {
        "lagged",
        *(f"lagged.triton.{precision}" for precision in ("ieee", "tf32x3", "tf32")),
    }
    assert laws["im2col"].memory == 2
    assert laws["shifted"].memory == laws["lagged"].memory == 0
