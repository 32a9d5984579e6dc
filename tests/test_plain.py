"""What stands in for Rich writes the same words, without colours and frames."""

import io

import pytest
from rich.console import Console as RichConsole

from ndbench import plain
from ndbench.terminal import Table as RichTable


def filled(table):
    table.add_column("check-\nname", justify="right", no_wrap=True)
    table.add_column("flops\nin k", overflow="fold")
    table.add_row("root[fast]", "1", "2", style="red")
    return table


def test_a_table_is_markdown():
    table = filled(plain.Table("what", title="Costs", title_justify="left", caption="a note"))
    assert str(table).splitlines() == [
        *("Costs", "", "| what | check-name | flops in k |", "|---|---:|---|", "| root[fast] | 1 | 2 |"),
        *("", "a note"),
    ]


def test_a_console_writes_lines_as_they_are():
    out = io.StringIO()
    console = plain.Console(file=out, width=5)
    console.print("[bold red]longer than the width[/]", highlight=False, markup=False)
    console.print("one", "two", sep="\n")
    console.print()
    assert out.getvalue().splitlines() == ["[bold red]longer than the width[/]", "one", "two", ""]
    assert not console.is_terminal


def test_standard_output_is_the_one_there_is_now(capsys):
    plain.Console().print("here")
    assert capsys.readouterr().out == "here\n"


def test_nothing_is_markup_and_nothing_has_a_bar():
    assert plain.escape("[/]") == "[/]"
    assert list(plain.track([1, 2], "count", transient=True)) == [1, 2]


@pytest.mark.parametrize("word", ["Costs", "what", "root[fast]", "1", "2"])
def test_both_tables_hold_the_same_words(word):
    out = io.StringIO()
    RichConsole(file=out, width=80).print(filled(RichTable("what", title="Costs")), markup=False)
    assert word in str(filled(plain.Table("what", title="Costs")))
    assert word in out.getvalue()
