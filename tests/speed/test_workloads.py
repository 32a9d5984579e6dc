"""Times of the workloads that asv and `ndbench bench` have too, one test for each kind."""

import pytest

from tests.speed.stopwatch import timed

pytest.importorskip("pytest_benchmark")
# one failure is enough for an answer that is wrong
pytestmark = pytest.mark.filterwarnings("ignore:Benchmark fixture was not used")


def test_root(case, device, benchmark, request):
    timed(case, device, benchmark, request.config)


def test_covariance(case, device, benchmark, request):
    timed(case, device, benchmark, request.config)


def test_gradient(case, device, benchmark, request):
    timed(case, device, benchmark, request.config)


def test_layer(case, device, benchmark, request):
    timed(case, device, benchmark, request.config)


def test_network(case, device, benchmark, request):
    timed(case, device, benchmark, request.config)
