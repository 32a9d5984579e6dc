import pytest
import torch

from ndbench import inverse_sqrt
from ndbench.cost import roots as model
from ndbench.cost.counting import count
from ndbench.cost.roots import BACKWARD, FORWARD
from ndbench.roots.adjoints.choice import ADJOINTS

N, BATCH = 5, (2, 3)
PRODUCT = 2 * 6 * N**3
WAYS = [(method, adjoint) for method, adjoints in ADJOINTS.items() for adjoint in adjoints]
GIVEN = [way for way in WAYS if way[1] != "auto" and not way[0].startswith("scipy")]


def step(method, adjoint, steps, A):
    D = inverse_sqrt(A, method=method, adjoint=adjoint, steps=steps)
    if A.requires_grad:
        D.sum().backward()


def counted(method, adjoint, steps, *, gradient, n=N, batch=BATCH):
    A = torch.eye(n).expand(*batch, n, n).clone().requires_grad_(gradient)
    return count(lambda: step(method, adjoint, steps, A)).flops


def modelled(method, adjoint, steps, *, gradient, n=N, batch=6):
    forward = model.forward(method, steps, n, adjoint=adjoint, batch=batch).products
    return forward + (model.backward(method, steps, n, adjoint=adjoint, batch=batch).products if gradient else 0)


@pytest.mark.parametrize("steps", range(1, 7))
@pytest.mark.parametrize(("method", "adjoint"), GIVEN)
def test_products_are_those_that_are_counted(method, adjoint, steps):
    for gradient in (False, True):
        found = counted(method, adjoint, steps, gradient=gradient)
        assert found == modelled(method, adjoint, steps, gradient=gradient)


@pytest.mark.parametrize("method", ADJOINTS)
def test_answers_without_gradient(method):
    found = counted(method, "auto", 4, gradient=False)
    assert found == model.forward(method, 4, N, batch=6).products


@pytest.mark.parametrize("method", [method for method in ADJOINTS if not method.startswith("scipy")])
@pytest.mark.parametrize(("n", "steps"), [(5, 5), (130, 5), (130, 3)])
def test_the_adjoint_that_is_chosen(method, n, steps):
    found = counted(method, "auto", steps, gradient=True, n=n, batch=())
    adjoint = model.chosen_adjoint(method, steps, n)
    assert found == modelled(method, adjoint, steps, gradient=True, n=n, batch=1)


def test_products_by_onednn_count_alike():
    found = counted("newton_schulz", "eigenbasis", 5, gradient=True, n=70, batch=())
    assert found == 5 * 2 * 70**3


def one_more(way):
    return lambda T: model.Work(way(T).products + 1)


def without_savings(way):
    """The textbook's three products a step."""
    return lambda T: model.Work(3 * T)


@pytest.mark.parametrize("wrong", [one_more, without_savings])
def test_wrong_models_are_caught(monkeypatch, wrong):
    monkeypatch.setitem(FORWARD, "newton_schulz", wrong(FORWARD["newton_schulz"]))
    with pytest.raises(AssertionError):
        test_products_are_those_that_are_counted("newton_schulz", "reverse", 4)


def test_a_wrong_model_of_an_adjoint_is_caught(monkeypatch):
    monkeypatch.setitem(BACKWARD, ("minimax_quintic", "reverse"), lambda T: model.Work(7 * T - 4))
    with pytest.raises(AssertionError):
        test_products_are_those_that_are_counted("minimax_quintic", "reverse", 1)


def test_factorizations_are_estimated():
    assert model.forward("spectral", 1, 10).estimated == 9000
    assert model.forward("denman_beavers", 4, 10).estimated == 4000
    assert model.forward("scipy_sqrtm", 1, 30).estimated == round((85 / 3 + 2) * 30**3)
    assert not model.forward("newton_schulz", 5, 10, adjoint="eigenbasis").exact
    assert model.forward("newton_schulz", 5, 10).exact


def test_bytes():
    assert model.forward("spectral", 1, 10, batch=3, itemsize=8).moved == 2 * 8 * 3 * 100
    assert model.backward("spectral", 1, 10, adjoint="lyapunov").moved == 3 * 4 * 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cholesky", 5, "auto"), r"method must be one of newton_schulz, .*; got 'cholesky'"),
        (("newton_schulz", 0, "auto"), "steps must be at least 1; got 0"),
        (("newton_schulz", 5, "lyapunov"), "adjoint must be one of auto, autograd, reverse, eigenbasis"),
        (("newton_schulz", 5, "auto"), "no model of the adjoint 'auto'"),
        (("scipy_sqrtm", 5, "autograd"), "no model of the adjoint 'autograd'"),
    ],
)
def test_what_does_not_exist_is_refused(arguments, message):
    method, steps, adjoint = arguments
    with pytest.raises(ValueError, match=message):
        model.backward(method, steps, 8, adjoint=adjoint)
