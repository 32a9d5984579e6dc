"""`python -m ndbench.verify.scaling` from its arguments to its page."""

import json
from dataclasses import replace

import pytest

from ndbench.verify import runner
from ndbench.verify.check import Check
from ndbench.verify.scaling import command, flops
from ndbench.verify.scaling.document import markdown
from ndbench.verify.scaling.problems import InteriorScaling, MemoryScaling, OrderScaling, PatchScaling
from ndbench.verify.scaling.suite import CHECKS
from tests.verify.scaling.sabotaged import SABOTAGE

SMALL = {
    "inverse-sqrt scaling-flops": OrderScaling((2, 4, 8)),
    "inverse-sqrt scaling-products": OrderScaling((3, 8)),
    "covariance scaling-flops": PatchScaling("k", (1, 3), side=8),
    "inverse-sqrt scaling-launches": OrderScaling((16, 64)),
    "covariance scaling-launches": PatchScaling("k", (1, 3), C=64, block=64, side=64),
    "covariance scaling-padding": PatchScaling("G", (8, 16), C=16, side=32),
    "covariance scaling-interior": InteriorScaling((1, 2)),
    "covariance scaling-borders": InteriorScaling((1, 2)),
    "covariance scaling-memory": MemoryScaling("k", (1, 3), sides=(64, 96)),
    "inverse-sqrt scaling-memory": OrderScaling((16, 32)),
}
KERNELS = (
    "im2col",
    "lagged",
    "newton_schulz.T5",
    "newton_schulz.T15",
    "minimax_cubic.T5",
    "minimax_quintic.T5",
    "denman_beavers.T9s4",
)
PAIRS_CLAIMED_AS_LAGS = next(s for s in SABOTAGE if s.name.startswith("pairs of offsets")).implementation


@pytest.fixture
def small(monkeypatch):
    """The same checks on small families."""

    def posed(check):
        problem = SMALL[f"{check.operation} {check.name}"]
        return replace(check, problems={"quick": (problem,), "full": (problem,)})

    monkeypatch.setattr(command, "CHECKS", tuple(map(posed, CHECKS)))


@pytest.mark.usefixtures("small")
def test_the_page_says_who_keeps_the_law(tmp_path, capsys):
    page, stored = tmp_path / "scaling.md", tmp_path / "scaling.json"
    chosen = [part for name in ("im2col", "lagged", "newton_schulz.T5") for part in ("--implementation", name)]
    assert command.main([*chosen, "--markdown", str(page), "--json", str(stored)]) == 0
    rows = {cells[0]: cells for line in page.read_text().splitlines() if (cells := line.strip("| ").split(" | "))[1:]}
    assert rows["newton_schulz.T5"][-2:] == ["kept", "12"]
    text = page.read_text()
    assert "| im2col | products for each pixel | 1 | 16 |" in text
    assert "| lagged | products for each pixel | 1 | 5 |" in text
    assert "not kept: k^4 |" in next(line for line in text.splitlines() if line.startswith("| im2col | "))
    assert "Times were not measured." in text
    verdicts = json.loads(stored.read_text())["verdicts"]
    assert {v["status"] for v in verdicts} == {"passed"}
    assert "exponents found / claimed" in capsys.readouterr().out


def test_kernels_are_among_the_names_there_are(monkeypatch, capsys):
    monkeypatch.setattr(command, "interpreted", lambda: True)
    assert command.main(["--implementation", "nobody"]) == 2
    output = capsys.readouterr().err
    assert "there are denman_beavers.T4, " in output
    assert all(f"{name}.triton.ieee" in output for name in KERNELS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--implementation", "nobody"], "no implementation is called nobody in the full tier"),
        (["--markdown", "{taken}/x"], "cannot write {taken}/x: "),
    ],
)
def test_wrong_usage_exits_with_2(arguments, message, tmp_path, capsys):
    taken = tmp_path / "taken"
    taken.write_text("")
    assert command.main([a.format(taken=taken) for a in arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("ndbench.verify.scaling: " + message.format(taken=taken))


def test_times_and_gated_times_exclude_each_other(capsys):
    with pytest.raises(SystemExit) as raised:
        command.main(["--times", "--gate-times"])
    assert raised.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err


def test_a_law_that_is_broken_is_on_the_page():
    check = Check("scaling-interior", "covariance", flops.interior, {"quick": (InteriorScaling((1, 3)),)})
    report = runner.run(runner.cases(runner.Selection(), (check,), (PAIRS_CLAIMED_AS_LAGS,)))
    (verdict,) = report.failures
    assert verdict.measured == pytest.approx(45 / 13)
    assert "1 failed" in markdown(report)
    assert "| products for each pixel | 1 | 45 |" in markdown(report)


def test_times_of_what_is_interpreted_are_not_measured():
    chosen = command.of_kernels(runner.Selection(times="report"))
    assert {case.check.name for case in chosen} == {"scaling-launches", "scaling-padding", "scaling-memory"}
    assert {case.implementation.name for case in chosen} == {f"{name}.triton.ieee" for name in KERNELS}
    assert command.of_kernels(runner.Selection(implementations=("im2col",))) == []
