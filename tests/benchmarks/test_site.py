"""The site that asv publishes, in a browser."""

import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from benchmarks.site import REMOTE, local
from tests.benchmarks.conftest import BENCHMARK, require

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)
POINTS = "const plot = jQuery('#main-graph').data('plot'); return plot ? plot.getData().map(line => line.data) : []"
"""Of every line that flot has drawn."""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def address(site):
    """Where the site is served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    require("chromium", "chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def grid(browser, address, seconds=60):
    """Names of the benchmarks in the grid, once it is there."""
    browser.get("about:blank")
    browser.get(address)
    cells = WebDriverWait(browser, seconds).until(
        lambda page: page.find_elements(By.CSS_SELECTOR, "#summarygrid-display .benchmark-text")
    )
    return [cell.text for cell in cells]


def lines(browser, address, benchmark, seconds=60):
    """The points of every line in the graph of one benchmark, once there are any."""
    browser.get("about:blank")
    browser.get(f"{address}#{benchmark}")
    return WebDriverWait(browser, seconds).until(lambda page: [line for line in page.execute_script(POINTS) if line])


def test_the_grid_of_benchmarks_appears(browser, address):
    names = grid(browser, address)
    assert "track_flops" in " ".join(names), names


def test_a_graph_has_the_points_that_were_measured(browser, address, tmp_path):
    found = lines(browser, address, BENCHMARK)
    browser.save_screenshot(str(tmp_path / "graph.png"))
    # one line for each network, one point for each commit
    assert [len(line) for line in found] == [2, 2, 2]
    flops = sorted(line[0][1] for line in found)
    assert 4e8 < flops[0] < flops[-1] < 8e8
    assert all(line[0][1] == line[1][1] for line in found), "the same code has the same flops"


def test_a_site_without_results_has_no_points(browser, address, site):
    shutil.move(site / "graphs", site / "elsewhere")
    try:
        with pytest.raises(TimeoutException):
            lines(browser, address, BENCHMARK, seconds=3)
    finally:
        shutil.move(site / "elsewhere", site / "graphs")


def test_a_site_without_its_libraries_has_no_grid(browser, address, site):
    shutil.move(site / "libraries", site / "elsewhere")
    try:
        with pytest.raises(TimeoutException):
            grid(browser, address, seconds=3)
    finally:
        shutil.move(site / "elsewhere", site / "libraries")


def test_nothing_of_the_page_comes_from_elsewhere(site):
    assert "https://" not in "".join(found[0] for found in REMOTE.finditer((site / "index.html").read_text()))


@pytest.mark.parametrize(
    ("name", "message"), [("jquery-9.min.js", "not in FILES"), ("md5.min.js", "should have the digest")]
)
def test_a_library_that_is_not_the_one_asked_for_is_refused(tmp_path, name, message):
    copy = tmp_path / "libraries" / "blueimp-md5" / "js" / "md5.min.js"
    copy.parent.mkdir(parents=True)
    copy.write_text("alert()")
    found = REMOTE.search(f'<script src="https://somewhere.example/{name}" integrity="sha256-AAAA">')
    with pytest.raises(ValueError, match=message):
        local(found, tmp_path)


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_machine_without_a_browser_fails_in_ci_and_skips_elsewhere(monkeypatch, ci, outcome):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="chromium not found"):
        require("chromium")
