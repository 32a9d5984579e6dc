"""Wrong kernels are told from right ones by what the other tests measure."""

import pytest

from ndbench.kernels.denman_beavers import inverse_product, sweep, sweep_adjoint, tile_product, tiled
from tests.kernels.denman_beavers.comparison import (
    ALLOWED,
    distance,
    kernels,
    matrices,
    true_gradient,
    true_root,
    upstream,
)


def one_scaled_step_more(monkeypatch):
    for module in (sweep, tiled):
        run = module.run
        monkeypatch.setattr(module, "run", lambda A, T, s, run=run, **rest: run(A, T, s + 1, **rest))


def one_step_less(monkeypatch):
    for module in (sweep, tiled):
        run = module.run
        monkeypatch.setattr(module, "run", lambda A, T, s, run=run, **rest: run(A, T - 1, s, **rest))


def scale_held_constant(monkeypatch):
    reverse, pull_back = sweep_adjoint.run, tiled.pull_back
    monkeypatch.setattr(sweep_adjoint, "run", lambda G, kept, mus, s: reverse(G, kept, mus, 0))
    monkeypatch.setattr(tiled, "pull_back", lambda G, kept, mus, s, precision: pull_back(G, kept, mus, 0, precision))


def transposed_product_left_out(monkeypatch):
    run = tile_product.run
    monkeypatch.setattr(
        tile_product, "run", lambda kind, *rest, **more: run("symmetric" if kind == "both" else kind, *rest, **more)
    )


def symmetric_part_left_out(monkeypatch):
    reverse = sweep_adjoint.run
    monkeypatch.setattr(sweep_adjoint, "run", lambda G, *rest: reverse(G.tril() * 2, *rest))
    pull_back = tiled.pull_back
    monkeypatch.setattr(tiled, "pull_back", lambda G, *rest: pull_back(G.tril() * 2, *rest))


def one_matrix_for_all(monkeypatch):
    for module in (sweep, tiled):
        run = module.run
        monkeypatch.setattr(module, "run", lambda A, *rest, run=run, **more: run(A[:1].expand(A.shape), *rest, **more))


def stale_inverse(monkeypatch):
    """R of the first step in every step."""
    run, first = inverse_product.run, []

    def wrong(V, *rest):
        first.append(V.clone())
        return run(first[0], *rest)

    monkeypatch.setattr(inverse_product, "run", wrong)


FORWARD = [
    (n, sabotage)
    for sabotage, orders in (
        (one_scaled_step_more, (20, 70)),
        (one_step_less, (20, 70)),
        (one_matrix_for_all, (20, 70)),
        (stale_inverse, (70,)),
    )
    for n in orders
]
BACKWARD = [
    (n, sabotage)
    for sabotage, orders in (
        (scale_held_constant, (20, 40, 70)),
        (transposed_product_left_out, (40, 70)),
        (symmetric_part_left_out, (20, 70)),
    )
    for n in orders
]


@pytest.mark.parametrize(("n", "sabotage"), FORWARD)
def test_a_wrong_answer_is_noticed(n, sabotage, device, monkeypatch):
    A = matrices(n, device)
    assert distance(kernels().run(A)[0], true_root(A)) <= ALLOWED
    sabotage(monkeypatch)
    assert not distance(kernels().run(A)[0], true_root(A)) <= 100 * ALLOWED


@pytest.mark.parametrize(("n", "sabotage"), BACKWARD)
def test_a_wrong_gradient_is_noticed(n, sabotage, device, monkeypatch):
    A = matrices(n, device)
    G = upstream(A)
    assert distance(kernels().pull_back(A, (), G), true_gradient(A, G)) <= ALLOWED
    sabotage(monkeypatch)
    assert not distance(kernels().pull_back(A, (), G), true_gradient(A, G)) <= 100 * ALLOWED
