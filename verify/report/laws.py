"""How flops, memory and times grow: one line for each implementation, from the evidence of scaling checks."""

from collections.abc import Sequence

from ndbench.verify.scaling.exponents import FLOPS, MATRICES, MEMORY, PRODUCTS, SAMPLED, SECONDS, VARIABLES
from ndbench.verify.verdict import Evidence, Verdict

TITLE = "exponents found / claimed, and whether the paper's O(H W k^2 C G + (k^2 G)^3) is kept"
NOTHING = "·"

Line = list[str]

_QUANTITIES = {
    FLOPS: "flops",
    PRODUCTS: "flops per pixel",
    SAMPLED: "same, at stride k,",
    MEMORY: "memory",
    MATRICES: "memory",
}


def table(verdicts: Sequence[Verdict]) -> list[Line]:
    """A header and the lines; the header alone if there is no evidence of scaling.

    A cell of counts is "exponent / claimed", one of times "exponent [low, high]".
    """
    grown = [v for v in verdicts if "variable" in v.evidence]
    kinds = list(dict.fromkeys((str(v.evidence["counted"]), str(v.evidence["variable"])) for v in grown))
    lines = [["implementation", *(f"{_quantity(counted)}\nin {VARIABLES[name]}" for counted, name in kinds)]]
    lines[0] += [f"paper's law\n{sampling}" for sampling in _samplings(grown)]
    smallest = {v.implementation: f" from {v.evidence['kept from']}" for v in verdicts if "kept from" in v.evidence}
    for implementation in dict.fromkeys(v.implementation for v in grown):
        mine = [v.evidence for v in grown if v.implementation == implementation]
        cells = [_cell([e for e in mine if (e["counted"], e["variable"]) == kind]) for kind in kinds]
        said = (_paper(mine, sampling) for sampling in _samplings(grown))
        lines.append([implementation, *cells, *(_from(smallest.get(implementation, ""), law) for law in said)])
    return lines


def _quantity(counted: str) -> str:
    return _QUANTITIES.get(counted, "time")


def _cell(found: Sequence[Evidence]) -> str:
    """Of the largest family, which comes last."""
    if not found:
        return NOTHING
    evidence = found[-1]
    # no negative zero
    exponent = f"{round(float(evidence['exponent']), 2) + 0.0:.2f}"
    if evidence["counted"] == SECONDS:
        return f"{exponent} [{evidence['low']:.2f}, {evidence['high']:.2f}]"
    return f"{exponent} / {evidence['claimed exponent']:g}"


_SAMPLINGS = {"stride 1": (PRODUCTS, SAMPLED), "stride k": (SAMPLED, PRODUCTS)}
"""Samplings of patches: what tells the power of k there, and what tells that of the other one."""


def _samplings(grown: Sequence[Verdict]) -> list[str]:
    """The samplings that counts of patches tell of; orders have none, and are shown as one."""
    counted = {v.evidence["counted"] for v in grown}
    found = [name for name, (own, _) in _SAMPLINGS.items() if own in counted]
    return found or ([""] if grown else [])


def _paper(found: Sequence[Evidence], sampling: str) -> str:
    """Kept or not, and by which power it is missed; nothing where no power of k is known."""
    own, other = _SAMPLINGS.get(sampling, ("", ""))
    said = [e for e in found if e.get("paper's law") and e["counted"] != other]
    if not said or (own and own not in {e["counted"] for e in said}):
        return NOTHING
    # of several families of one size the last is the largest
    missed = {VARIABLES[str(e["variable"])]: e for e in said if e["paper's law"] != "kept"}
    return "not kept: " + ", ".join(_power(name, e) for name, e in missed.items()) if missed else "kept"


def _from(smallest: str, said: str) -> str:
    """Of kernels, whose tiles pad what is smaller, the size from which on a law is kept."""
    return said + smallest if said == "kept" else said


def _power(name: str, evidence: Evidence) -> str:
    """The power between the two largest sizes, where lower orders count least, and the fitted one if it differs."""
    leading, fitted = (f"{name}^{evidence[which]:.2g}" for which in ("last exponent", "exponent"))
    return leading if leading == fitted else f"{leading} (fitted {fitted})"
