"""What all layers can be told, checked once."""

import math
from dataclasses import dataclass, fields, replace
from inspect import signature
from numbers import Real
from typing import Any, TypedDict

from torch import Tensor

from ndbench.covariance.patches import GROUPINGS
from ndbench.operations.definite import FLOATS
from ndbench.operations.roots import require_options, whole

RUNNING = ("deconvolution", "covariance")
SAMPLING_STRIDE = 3
"""As published."""


@dataclass(frozen=True)
class Options:
    """How statistics become a deconvolution matrix, and how they are remembered for evaluation.

    Attributes:
        eps: added to the diagonal of the covariance.
        steps: iterations T of the inverse square root.
        method: of the inverse square root, see `ndbench.inverse_sqrt`, as are the next two.
        lower: minimax only.
        scaled_steps: "denman_beavers" only.
        momentum: m, the weight of a new batch in the running averages; None averages all batches alike.
        track_running_stats: without it evaluation too uses the statistics of its batch, as in batch normalization.
        running: "deconvolution" averages D, as published; "covariance" averages the covariance, and takes its root
            when evaluating.
        bias_correction: whether the averages' initial values (no mean, D = I) count for nothing from the first batch
            on. As published they fade as (1 - m)^t.
        freeze_after: number of batches after which training too uses the running averages; None for never.
        sync: whether training takes the statistics of the batches of all processes together.
    """

    eps: float
    steps: int = 5
    method: str = "newton_schulz"
    lower: float = 1e-4
    scaled_steps: int | None = None
    momentum: float | None = 0.1
    track_running_stats: bool = True
    running: str = "deconvolution"
    bias_correction: bool = True
    freeze_after: int | None = None
    sync: bool = False

    @classmethod
    def of(cls, layer: type, **values: Any) -> "Options":
        """The options of a layer of this class, checked.

        Raises:
            TypeError: for one that does not exist, or is of another type.
            ValueError: for one out of its range.
        """
        if unknown := values.keys() - {field.name for field in fields(cls)}:
            own = [p.name for p in signature(layer).parameters.values() if p.kind is not p.VAR_KEYWORD]
            known = ", ".join(dict.fromkeys([*own, *Others.__annotations__]))
            raise TypeError(f"{layer.__name__}: there is no option {', '.join(sorted(unknown))}, only {known}")
        options = cls(**values)
        options.check(layer.__name__)
        return options

    def changed(self, name: str, **values: Any) -> "Options":
        """Those with other values, checked in the name of the layer."""
        options = replace(self, **values)
        options.check(name)
        return options

    def check(self, name: str) -> None:
        """Refuse what lies out of range.

        Raises:
            TypeError: for the first option of another type.
            ValueError: for the first out of its range.
        """
        for option in ("track_running_stats", "bias_correction", "sync"):
            check_switch(getattr(self, option), option, name)
        _check_number(self.eps, "eps", name)
        if self.momentum is not None:
            _check_number(self.momentum, "momentum", name)
        if self.freeze_after is not None:
            whole(self.freeze_after, "freeze_after", name)
        self._check_root(name)
        rules = {
            f"eps must be finite and not negative; got {self.eps}": 0 <= self.eps < math.inf,
            f"momentum must lie in (0, 1], or be None for the average of all batches; got {self.momentum}": (
                self.momentum is None or 0 < self.momentum <= 1
            ),
            f"running must be one of {', '.join(RUNNING)}; got {self.running!r}": self.running in RUNNING,
            f"freeze_after must be at least 1, or None for never; got {self.freeze_after}": (
                self.freeze_after is None or self.freeze_after >= 1
            ),
            "freeze_after needs running averages; leave track_running_stats=True": (
                self.freeze_after is None or self.track_running_stats
            ),
        }
        for message, holds in rules.items():
            if not holds:
                raise ValueError(f"{name}: {message}")

    def _check_root(self, name: str) -> None:
        """Refuse what no inverse square root can be told, in the name of the layer."""
        try:
            require_options(self.method, self.steps, self.lower, self.scaled_steps)
        except (TypeError, ValueError) as error:
            _, _, message = str(error).partition(": ")
            raise type(error)(f"{name}: {message}") from None


class Passed(TypedDict, total=False):
    """The options that all layers pass on without looking at them."""

    lower: float
    scaled_steps: int | None
    running: str
    bias_correction: bool
    freeze_after: int | None
    sync: bool


class Others(Passed, total=False):
    """Those that layers pass on which have no place for them among their arguments."""

    track_running_stats: bool


def check_switch(value: Any, option: str, name: str) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name}: {option} must be True or False; got {value!r}")


def _check_number(value: Any, option: str, name: str) -> None:
    """Refuse what is no real number; True is none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: {option} must be a number; got {value!r}")


def require_tensor(value: Any, name: str) -> None:
    """Refuse an input that is no tensor, among them those by which torch.fx traces."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: the input must be a tensor; got a {type(value).__name__}")


def require_floats(x: Tensor, name: str) -> None:
    """Refuse whole and complex numbers."""
    if x.dtype not in FLOATS:
        raise TypeError(f"{name}: the input must be real floating point; got {x.dtype}; convert it first")


def check_grouping(grouping: str, groups: int, name: str) -> None:
    """Refuse a grouping that does not exist, or cannot be had in a convolution of groups."""
    if grouping not in GROUPINGS:
        raise ValueError(f"{name}: grouping must be one of {', '.join(GROUPINGS)}; got {grouping!r}")
    if grouping == "interleaved" and groups > 1:
        raise ValueError(f'{name}: interleaved blocks spread over all {groups} groups; use grouping="channel"')


def check_sampling(sampling_stride: int, name: str) -> None:
    """Refuse a sampling stride that is no positive whole number."""
    if whole(sampling_stride, "sampling_stride", name) < 1:
        raise ValueError(f"{name}: sampling_stride must be at least 1; got {sampling_stride}")


def block_of(channels: int, block: int | None, name: str) -> int:
    """The channels of a block: all of them if there are no more than `block`, else their largest divisor up to it.

    Example:
        >>> block_of(3, 64, "Deconv2d"), block_of(96, 64, "Deconv2d"), block_of(256, 64, "Deconv2d")
        (3, 48, 64)
    """
    if block is not None and whole(block, "block", name) < 1:
        raise ValueError(f"{name}: block must be at least 1, or None for all channels; got {block}")
    if whole(channels, "the number of input channels", name) < 1:
        raise ValueError(f"{name}: the number of input channels must be at least 1; got {channels}")
    most = channels if block is None else min(block, channels)
    return next(divisor for divisor in range(most, 0, -1) if channels % divisor == 0)
