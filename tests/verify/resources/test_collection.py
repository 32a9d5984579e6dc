from collections import Counter
from pathlib import Path

import pytest

from ndbench.verify.resources.collection import all_variants
from ndbench.verify.resources.targets import TARGETS, target_named


def test_names_are_unique():
    names = Counter(variant.name for variant in all_variants())
    assert names
    assert [name for name, count in names.items() if count > 1] == []


def test_the_page_of_resources_and_with_it_asv_knows_every_variant():
    page = (Path(__file__).parents[3] / "docs" / "resources.md").read_text()
    missing = [variant.name for variant in all_variants() if f"| {variant.name} |" not in page]
    assert missing == [], "run: python -m ndbench.verify.resources --markdown docs/resources.md"


def test_vendors_are_known():
    known = {target.vendor for target in TARGETS}
    assert all(variant.vendors and set(variant.vendors) <= known for variant in all_variants())


def test_every_argument_has_a_type_or_a_value():
    for variant in all_variants():
        told = {*variant.signature, *variant.configuration.constants}
        assert told == set(variant.kernel.arg_names), variant.name
        assert {*variant.divisible, *variant.ones} <= set(variant.signature), variant.name


def test_a_launch_finds_out_what_the_variant_tells():
    for variant in all_variants():
        arguments = {a.name: a for a in variant.kernel.params if a.name in variant.signature}
        found_out = {a for a, p in arguments.items() if not p.do_not_specialize_on_alignment}
        found_out -= {
            a for a, p in arguments.items() if p.do_not_specialize and not variant.signature[a].startswith("*")
        }
        assert found_out == {*variant.divisible, *variant.ones}, variant.name
        # a number is launched with the type of its annotation, or with that of its value
        wide = {a for a in arguments if variant.signature[a] == "i64"}
        assert wide == {a for a, p in arguments.items() if p.annotation_type == "i64"}, variant.name


def test_registers_that_fit():
    assert target_named("sm_90").warps_that_fit(255) == 8
    assert target_named("sm_90").warps_that_fit(128) == 16
    assert target_named("gfx942").warps_that_fit(512) == 4
    assert target_named("gfx950").warps_that_fit(121) == 16


def test_an_unknown_target_is_an_error():
    with pytest.raises(ValueError, match=r"must be one of sm_80, .*; got 'sm_70'"):
        target_named("sm_70")
