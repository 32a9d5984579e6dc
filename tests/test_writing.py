"""Asking whether a file can be written changes no file."""

from ndbench.writing import obstacle_to


def test_a_new_file_is_not_left_behind(tmp_path):
    assert obstacle_to(tmp_path / "new" / "found.json") == ""
    assert list((tmp_path / "new").iterdir()) == []


def test_content_stays(tmp_path):
    path = tmp_path / "found.json"
    path.write_text("[]")
    assert obstacle_to(path) == ""
    assert path.read_text() == "[]"


def test_a_link_to_nothing_stays(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "missing")
    assert obstacle_to(link) == ""
    assert list(tmp_path.iterdir()) == [link]


def test_a_folder_is_an_obstacle(tmp_path):
    assert obstacle_to(tmp_path) == "Is a directory"
