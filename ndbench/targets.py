"""What an inverse square root implementation computes: the exact root, or the map of T steps of an iteration."""

from dataclasses import dataclass

ITERATIONS = ("newton_schulz", "denman_beavers", "denman_beavers_plain", "minimax_cubic", "minimax_quintic")


@dataclass(frozen=True)
class Exact:
    """The inverse square root A^(-1/2)."""

    def __str__(self) -> str:
        return "exact"


@dataclass(frozen=True)
class Steps:
    """The map of T steps of a named iteration: not the inverse square root, and held to its own oracle.

    Attributes:
        iteration: one of `ITERATIONS`; "denman_beavers" is the product form.
        steps: T, at least 1.
        lower: for the minimax iterations, the lower bound of the spectrum relative to ||A||_F.
        scaled_steps: for "denman_beavers", the steps with determinantal scaling.
    """

    iteration: str
    steps: int
    lower: float = 1e-4
    scaled_steps: int = 0

    def __post_init__(self) -> None:
        if self.iteration not in ITERATIONS:
            raise ValueError(f"Steps: iteration must be one of {', '.join(ITERATIONS)}; got {self.iteration!r}")
        if self.steps < 1:
            raise ValueError(f"Steps: steps must be at least 1; got {self.steps}")

    def __str__(self) -> str:
        return f"{self.steps} steps of {self.iteration}"


Target = Exact | Steps


def parse_target(text: str) -> Target:
    """The target that a user names: "exact", or "ITERATION:T" such as "newton_schulz:5".

    Raises:
        ValueError: if the text is neither.

    Example:
        >>> parse_target("newton_schulz:5")
        Steps(iteration='newton_schulz', steps=5, lower=0.0001, scaled_steps=0)
    """
    if text == "exact":
        return Exact()
    iteration, _, steps = text.partition(":")
    if not steps.isdigit():
        raise ValueError(f"target must be 'exact' or ITERATION:T, such as 'newton_schulz:5'; got {text!r}")
    # the default of ndbench.inverse_sqrt: every step scaled
    scaled_steps = int(steps) if iteration == "denman_beavers" else 0
    return Steps(iteration, int(steps), scaled_steps=scaled_steps)
