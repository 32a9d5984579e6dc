from ndbench.cost.model import Cost


def test_costs_add_up():
    total = Cost(3, 0, 10) + Cost(4, 5, 20)
    assert total == Cost(7, 5, 30)
    assert total.flops == 12


def test_what_is_estimated_is_not_exact():
    assert Cost(3, 0, 10).exact
    assert not (Cost(3) + Cost(0, 1)).exact
