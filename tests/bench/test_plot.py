"""Pictures: what is in them, and what cannot be drawn."""

import sys

import pytest
from matplotlib.figure import Figure

from ndbench.bench import plot
from ndbench.bench.plot import NoMatplotlib, draw, require_format
from tests.bench.synthetic_rows import WRONG, row, workload

SIZES = [workload("squares", 1e6), workload("powers-large", 1e8)]
ROWS = [row(), row("exact", 2.0, error=0.0), row(direction="forward+backward"), WRONG]


@pytest.fixture
def drawn(monkeypatch):
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, path: (figures.append(figure), save(figure, path)))
    return figures


def test_a_picture_is_written(tmp_path):
    draw(ROWS, SIZES[:1], tmp_path / "one.png")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_errors_and_times_of_right_contenders_are_in_it(tmp_path, drawn):
    draw(ROWS, SIZES[:1], tmp_path / "one.svg")
    (axes,) = drawn[0].axes
    points = [container.lines[0].get_xydata()[0].tolist() for container in axes.containers]
    assert points == [
        pytest.approx([1015, 1e-7]),
        pytest.approx([2030, 5e-8]),
        pytest.approx([1015, 1e-7]),
    ]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["torch", "exact"]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert "us" in axes.get_xlabel()


def test_two_sizes_of_a_family_have_a_line_beside_the_model(tmp_path, drawn):
    larger = [row("torch", 100.0, samples=r.samples) for r in ROWS[:1]]
    larger = [plot.Row("powers-large", r.contender, r.direction, r.samples, 1e-2, 1e-7, 1e-6) for r in larger]
    draw([*ROWS, *larger], SIZES, tmp_path / "two.png")
    axes = drawn[0].axes[2]
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert lines["torch"] == [pytest.approx([1e6, 1015]), pytest.approx([1e8, 1015])]
    assert lines["model: floor"] == [pytest.approx([1e6, 100]), pytest.approx([1e8, 1e4])]
    assert axes.get_xticklabels()[1].get_text() == "large: 1.0e+08"


def test_without_a_time_there_is_nothing_to_draw(tmp_path):
    with pytest.raises(ValueError, match="at least one row must have a time above 0"):
        draw([WRONG], SIZES, tmp_path / "none.png")


def test_without_matplotlib_one_is_told_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(NoMatplotlib, match=r"install ndbench\[plot\]"):
        require_format(tmp_path / "one.png")


@pytest.mark.parametrize("name", ["picture", "picture.docx"])
def test_unknown_formats_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match="the name must end in one of"):
        require_format(tmp_path / name)
