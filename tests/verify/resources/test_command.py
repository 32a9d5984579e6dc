import json

import pytest

from ndbench.verify.resources import command
from tests.verify.resources import planted

pytestmark = planted.NEEDS_COMPILER


@pytest.fixture
def listed(monkeypatch):
    """One right kernel and one wrong one, in place of the project's."""
    monkeypatch.setattr(command, "all_variants", lambda: iter([planted.RIGHT, planted.MISLABELLED]))


@pytest.mark.usefixtures("listed")
def test_the_whole_command(tmp_path, capsys):
    files = tmp_path / "new" / "figures.json", tmp_path / "new" / "resources.md"
    arguments = ["--target", "sm_90", "--target", "gfx942", "--json", str(files[0]), "--markdown", str(files[1])]
    assert command.main([*arguments, "--processes", "1"]) == 1
    shown = capsys.readouterr().out
    assert "failed no-lost-digits of planted.right/ieee/16/tf32 on sm_90" in shown
    assert "--variant planted.right/ieee/16/tf32 --target sm_90" in shown
    assert "4 compiled kernels, 2 failed; 4 compiled" in shown

    record = json.loads(files[0].read_text())
    assert (record["schema"], record["passed"], len(record["rows"])) == (1, False, 4)
    right = record["rows"][0]
    assert (right["variant"], right["target"], right["failures"]) == ("planted.right/ieee/16/ieee", "sm_90", [])
    assert right["figures"]["multiply_adds"] == 128

    page = files[1].read_text()
    assert "python -m ndbench.verify.resources --markdown docs/resources.md" in page
    assert page.count("\n| planted.right/ieee/16/ieee | ") == 2
    assert page.count("\n## ") == 2

    # again: nothing is compiled, and the status is that of what was chosen
    assert command.main([*arguments[:4], "--variant", "16/ieee"]) == 0
    assert "2 compiled kernels, 0 failed; 0 compiled in 0 s of processor time, 2 known" in capsys.readouterr().out


@pytest.mark.usefixtures("listed")
def test_wrong_usage(monkeypatch, capsys):
    assert command.main(["--variant", "absent"]) == 2
    assert "no variant has that name" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        command.main(["--target", "sm_70"])
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert command.main([]) == 2
    assert "unset TRITON_INTERPRET" in capsys.readouterr().err
