"""The workloads that everything measures: names, work, and contenders that compute what they should."""

import pytest
import torch

from ndbench.bench.registry import workload, workloads
from ndbench.bench.workloads import passes
from ndbench.cost.ceilings import Ceilings
from ndbench.kernels.precision import PRECISIONS

SMALL = [w.name for w in workloads("cpu") if not w.large]


def test_workloads_with_targets_come_first():
    names = [w.name for w in workloads("cuda")]
    assert names[:5] == [
        "newton_schulz-T5-n32-b1024",
        "newton_schulz-T5-n64-b1024",
        "newton_schulz-T5-n576-b1",
        "denman_beavers-T9-n32-b1024",
        "covariance-256x64x56x56-k3-s1-block64",
    ]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_workloads_have_names_and_work(device):
    found = workloads(device)
    assert len({w.name for w in found}) == len(found)
    assert all(w.flops > 0 and w.bytes > 0 for w in found)


OPERATIONS = [w for w in workloads("cuda") if not w.family.startswith(("gradient", "layer", "network"))]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda w: w.name)
def test_contenders_of_a_gpu_are_named_without_one(operation):
    kernels = {name.split()[-1] for name in operation.contenders("cuda") if "triton" in name}
    # 16 bits are multiplied in one way
    assert kernels == ({"triton"} if "float16" in operation.name else {"ieee", "tf32x3", "tf32"})


@pytest.mark.parametrize(
    "kind", ["newton_schulz", "minimax", "denman_beavers", "k3-s1", "k3-s3", "separate", "interleaved"]
)
def test_the_compiler_takes_part_in_every_kind(kind):
    assert any(kind in w.name and "torch.compile" in w.contenders("cuda") for w in OPERATIONS)


def test_a_gpu_times_every_kind_of_kernel():
    names = {w.name for w in OPERATIONS}
    assert names >= {
        "minimax_cubic-T5-n32-b1024",
        "denman_beavers-T9-n144-b64",
        "newton_schulz-T5-float16-n64-b1024",
        "newton_schulz-T5-bfloat16-n64-b1024",
        "covariance-128x64x32x32-k3-s1-block16-separate",
        "covariance-128x64x32x32-k3-s1-block16-interleaved",
        "covariance-128x64x32x32-k3-s1-block64-float16",
        "covariance-128x64x32x32-k3-s1-block64-bfloat16",
    }


def test_floors_know_the_products_of_every_contender():
    rates = Ceilings(1e9, dict.fromkeys(("ieee", "tf32", "float16", "bfloat16"), 1e9))
    for operation in OPERATIONS:
        for contender in operation.contenders("cuda").values():
            assert rates.floor(operation.flops, operation.bytes, contender.precision) > 0


@pytest.mark.parametrize(("hip", "precisions"), [(None, {"ieee", "tf32x3", "tf32"}), ("7.0", {"ieee"})])
def test_kernels_contend_in_the_precisions_that_a_vendor_has(hip, precisions, monkeypatch):
    monkeypatch.setattr(torch.version, "hip", hip)
    operations = [w for w in workloads("cuda") if not w.family.startswith(("layer", "network"))]
    kernels = [name for w in operations for name in w.contenders("cuda") if "triton" in name]
    assert {name.split()[-1] for name in kernels} & set(PRECISIONS) == precisions


def test_a_cpu_has_no_contender_that_is_judged_as_coarser_than_it_computes():
    contenders = [c for w in workloads("cpu") for c in w.contenders("cpu").values()]
    assert {(c.precision, c.settings) for c in contenders} == {("ieee", "highest")}


@pytest.mark.parametrize("name", SMALL)
def test_the_contenders_of_a_cpu_agree_with_the_truth(name):
    chosen = workload(name, "cpu")
    x = chosen.input("cpu")
    # a network has a label for each image
    x = x if chosen.family == "network" else x[:1]
    for contender in chosen.contenders("cpu").values():
        true = chosen.truth_of(contender)(x.double(), *(p.double() for p in contender.parameters))
        for found, expected in zip(contender.function(x), true, strict=True):
            assert torch.linalg.norm(found.double() - expected) <= 1e-3 * torch.linalg.norm(expected)


def test_large_workloads_of_a_cpu_come_last():
    large = [w.large for w in workloads("cpu")]
    assert large == sorted(large)
    assert any(large)


def test_a_training_step_has_the_gradients_of_input_weight_and_bias():
    step = workload("layer-8x16x16x16-to-16", "cpu")
    x = step.input("cpu")
    for name, contender in step.contenders("cpu").items():
        found = dict(passes(contender, x))["forward+backward"]()
        assert [g.shape for g in found] == [x.shape, *(p.shape for p in contender.parameters)], name
        assert all(g.abs().max() > 0 for g in found)


def test_a_training_step_is_the_same_in_both_layouts():
    sizes = [workload(f"layer-128x64x32x32-to-64{layout}", "cpu") for layout in ("", "-nhwc")]
    (weight, _), (other, _) = (w.contenders("cpu")["convolution"].parameters for w in sizes)
    assert torch.equal(weight, other)
    assert weight.is_contiguous()
    assert other.is_contiguous(memory_format=torch.channels_last)


def test_an_unknown_workload_is_refused_with_the_names_there_are():
    with pytest.raises(KeyError, match="no workload on cpu is called nothing; there are newton_schulz-T5-n32-b16"):
        workload("nothing", "cpu")
