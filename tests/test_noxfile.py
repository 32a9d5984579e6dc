"""What the sessions of the noxfile run."""

from types import SimpleNamespace

import pytest


@pytest.fixture
def commands(noxfile, monkeypatch):
    """What a session of this name would run with these arguments, as lists of words."""
    found = []
    monkeypatch.setattr(noxfile, "run", lambda session, *words, **variables: found.append(list(words)))
    monkeypatch.setattr(noxfile, "publish", lambda session: None)

    def commands_of(name, *arguments):
        found.clear()
        noxfile.nox.registry.get()[name].func(SimpleNamespace(posargs=list(arguments)))
        return list(found)

    return commands_of


@pytest.mark.parametrize(
    ("name", "arguments", "measured"),
    [
        ("asv", (), ["--quick", "HEAD^!"]),
        ("asv", ("--bench", "networks", "HEAD^!"), ["--bench", "networks", "HEAD^!"]),
        ("history", ("HEAD~5..HEAD", "--steps", "3"), ["HEAD~5..HEAD", "--steps", "3"]),
    ],
)
def test_asv_prints_why_it_skips(name, arguments, measured, commands):
    assert commands(name, *arguments)[-1] == ["asv", "run", "--show-stderr", *measured]


def test_rates_measures_how_often_a_comparison_is_wrong(commands):
    assert commands("rates", "--pairs", "20") == [["python", "-m", "ndbench.timing.rates", "--pairs", "20"]]
