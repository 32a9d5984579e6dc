import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Figures of other runs are not seen."""
    monkeypatch.setenv("NDBENCH_CACHE", str(tmp_path / "cache"))
