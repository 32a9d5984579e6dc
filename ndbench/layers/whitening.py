"""What the layers share: a batch's statistics become mean and D, running averages serve evaluation."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor

from ndbench.covariance.patches import Patches
from ndbench.layers.averages import Averaging
from ndbench.layers.faults import refuse
from ndbench.layers.joined import is_distributed, joined, of_none
from ndbench.layers.memo import Memo, full_precision
from ndbench.layers.options import SAMPLING_STRIDE, Options, require_tensor
from ndbench.layers.repetition import Choices, is_repetition
from ndbench.layers.values import has_values, is_seen, waits
from ndbench.operations.compiled import AUTO, moments_in_graphs
from ndbench.operations.covariance import moments
from ndbench.operations.roots import unguarded

CAST = {torch.float32, torch.float16, torch.bfloat16}
"""Types that autocast makes one of."""


class Whitening(Averaging):
    """A layer that whitens its input by the statistics of the batch, or by their running averages.

    Training computes mean and covariance of the batch and D = (cov + eps I)^(-1/2), through which gradients pass, and
    averages mean and D (or mean and cov + eps I). After t batches v_1, ..., v_t an average is

        sum over i of w_i v_i / sum over i of w_i,    w_i = (1 - m)^(t - i),

    and without bias correction m sum over i of w_i v_i + (1 - m)^t v_0. A batch whose statistics are not finite changes
    no average.

    Attributes:
        process_group: the processes whose batches `sync` joins; None for all.
        running_mean: average of the means, (F,) or (G, F).
        running_deconv: average of D, (F, F) or (G, F, F), if that is what runs, else
        running_cov: average of cov + eps I.
        num_batches_tracked: batches that were averaged.
        faulty: whether a batch on a GPU, or in a compiled graph, had statistics that are not finite, and no error was
            raised yet.
    """

    takes_single_rows = False
    """Whether a batch of a single row is whitened, by D = eps^(-1/2) I."""

    options: Options
    process_group: Any
    block: int
    grouping: str
    pooled: bool
    running_mean: Tensor | None
    num_batches_tracked: Tensor | None

    def whiten_by(self, options: Options, order: int, groups: int | None, device: Any, dtype: torch.dtype) -> None:
        """Keep the options, and make the buffers of (groups, or one if pooled) blocks of this order."""
        self.options = options
        self.process_group = None
        self._choices = Choices()
        where = {"device": device, "dtype": torch.promote_types(dtype, torch.float32)}
        leading = () if groups is None else (groups,)
        mean = torch.empty(*leading, order, **where)
        tracked = options.track_running_stats
        self.register_buffer("running_mean", mean if tracked else None)
        self.register_buffer(self._second, torch.empty(*leading, order, order, **where) if tracked else None)
        count = torch.tensor(0, dtype=torch.long, device=mean.device) if tracked else None
        self.register_buffer("num_batches_tracked", count)
        # an integer, since averages of models subtract buffers
        self.register_buffer("faulty", torch.tensor(0, device=mean.device), persistent=False)
        self._forget()
        self.reset_running_stats()

    @torch.no_grad()
    def reset_running_stats(self) -> None:
        """Averages as they were before any batch: no mean, and D = I. Batches that were faulty are forgotten too.

        Example:
            >>> from ndbench.layers import Deconv2d
            >>> with torch.device("meta"):
            ...     layer = Deconv2d(3, 8, 3)
            >>> layer = layer.to_empty(device="cpu")  # memory that holds anything
            >>> layer.reset_parameters()  # which resets these too
            >>> int(layer.num_batches_tracked), bool((layer.running_deconv == torch.eye(27)).all())
            (0, True)
        """
        self.faulty.zero_()
        if self.running_mean is None or self.num_batches_tracked is None:
            return
        self.running_mean.zero_()
        self.num_batches_tracked.zero_()
        second = getattr(self, self._second)
        second.copy_(self._squared(torch.eye(second.shape[-1], dtype=second.dtype, device=second.device)))

    def reset_parameters(self) -> None:
        """Initial parameters and averages."""
        super().reset_parameters()  # type: ignore[misc]
        # a convolution asks for this while it is made
        if "faulty" in self._buffers:
            self.reset_running_stats()

    @torch.no_grad()
    def _squared(self, D: Tensor) -> Tensor:
        """What averages to D = I: itself, or the multiple of it whose root, by so few steps, is I."""
        if self.options.running == "deconvolution" or D.is_meta:
            return D
        # roots of a I are those of I over a^(1/2)
        return D * self.root(D)[0, 0] ** 2

    @property
    def eps(self) -> float:
        """What is added to the diagonal of the covariance; written to, it counts from the next batch on."""
        return self.options.eps

    @eps.setter
    def eps(self, value: float) -> None:
        self.options = self.options.changed(type(self).__name__, eps=value)

    @property
    def momentum(self) -> float | None:
        """The weight of a new batch in the averages; written to, it counts from the next batch on."""
        return self.options.momentum

    @momentum.setter
    def momentum(self, value: float | None) -> None:
        self.options = self.options.changed(type(self).__name__, momentum=value)

    @property
    def track_running_stats(self) -> bool:
        """Whether there are averages; while it is set to False those that exist stay as they are, unused."""
        return self.options.track_running_stats

    @track_running_stats.setter
    def track_running_stats(self, value: bool) -> None:
        options = self.options.changed(type(self).__name__, track_running_stats=value)
        if value and self.running_mean is None:
            raise ValueError(f"{type(self).__name__}: there are no running averages to track; make the layer with them")
        self.options = options

    @property
    def _second(self) -> str:
        """The name of the averages beside the mean."""
        return "running_deconv" if self.options.running == "deconvolution" else "running_cov"

    @property
    def uses_batch(self) -> bool:
        """Whether the next input is whitened by its own statistics."""
        if not self.options.track_running_stats:
            return True
        return self.training and not self.frozen

    @property
    def frozen(self) -> bool:
        """Whether `freeze_after` batches have been averaged; asking synchronizes on a GPU, unless it is None."""
        most, count = self.options.freeze_after, self.num_batches_tracked
        return most is not None and count is not None and has_values(count) and int(count) >= most

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and covariance of the input, in float32 or better; each layer has its own."""
        raise NotImplementedError

    def fold_for(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias that whiten x, by its own statistics or by the averages.

        Raises:
            ValueError: if statistics are not finite and x is on a CPU.
        """
        # folding would round to 16 bits in autocast, and what evaluation keeps outlives it
        with full_precision(x.device):
            return self.fold(*self.mean_and_root(x)) if self._chooses_batch() else self.folded_averages()

    def _chooses_batch(self) -> bool:
        """`uses_batch`, or what it was when a pass that is repeated ran first."""
        if not self.training or torch.compiler.is_compiling():
            return self.uses_batch
        if is_repetition():
            return self._choices.repeat(type(self).__name__, self.uses_batch)
        return self._choices.record(self.uses_batch)

    def require(self, x: Tensor) -> None:
        """Refuse an input that does not fit; each layer has its own."""
        raise NotImplementedError

    def check_input(self, x: Tensor, channels: int, axis: int, weight: Tensor) -> None:
        """Refuse what the weight cannot be multiplied with, before it is averaged.

        Raises:
            ValueError: for another number of channels.
            TypeError: for another type, unless autocast makes it the same.
        """
        name = type(self).__name__
        require_tensor(x, name)
        if x.ndim < -axis or x.shape[axis] != channels:
            raise ValueError(f"{name}: the input must have {channels} channels; got shape {tuple(x.shape)}")
        if x.dtype == weight.dtype:
            return
        if not torch.is_autocast_enabled(x.device.type) or not {x.dtype, weight.dtype} <= CAST:
            raise TypeError(f"{name}: the input must have the weight's type {weight.dtype}; got {x.dtype}; convert one")

    def mean_and_root(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deconvolution matrix of x itself, taken into the averages when training."""
        # statistics are float32 whatever autocast says
        with full_precision(x.device):
            mean, cov = self.moments(x)
            cov = cov + self.options.eps * torch.eye(cov.shape[-1], dtype=cov.dtype, device=cov.device)
            fine = mean.isfinite().all() & cov.isfinite().all()
            if waits(x) and not fine:
                refuse(self, "the input holds NaN, infinities, or numbers whose squares overflow float32")
            # LAPACK refuses NaN
            D = self.root(torch.where(fine, cov, torch.eye(cov.shape[-1], dtype=cov.dtype, device=cov.device)))
            fine = fine & D.isfinite().all()
            if waits(x) and not fine:
                refuse(self, self._singular())
        if not is_repetition():
            self._take(mean, cov if self.options.running == "covariance" else D, fine, awaited=waits(x))
        if not waits(x):
            D = torch.where(fine, D, torch.nan)
        return mean, D

    def moments_of(self, x: Tensor, patches: Patches) -> tuple[Tensor, Tensor]:
        """Mean and covariance of these patches of x, whose values are not looked at.

        Raises:
            ValueError: if there are no such patches.
        """
        joins = self.options.sync and self.training and is_distributed()
        if joins and len(x) == 0:
            return self._joined(of_none(x, patches), x, patches, rows=0)
        if x.numel() == 0:
            refuse(self, "the input must not be empty")
        patches.check(x.shape, type(self).__name__)
        height, width = patches.output_size(*x.shape[2:])
        rows = len(x) * height * width
        if not joins:
            self._require_rows(rows, x, patches)
        found = moments(x, patches, AUTO) if is_seen(x) else moments_in_graphs(x, patches)
        return self._joined(found, x, patches, rows=rows) if joins else found

    def _joined(self, found: tuple[Tensor, Tensor], x: Tensor, patches: Patches, *, rows: int) -> tuple[Tensor, Tensor]:
        """The statistics of all processes from those of this one."""
        require = partial(self._require_rows, x=x, patches=patches, where=" of all processes together")
        return joined(*found, rows=rows, group=self.process_group, require=require)

    def _require_rows(self, rows: int, x: Tensor, patches: Patches, where: str = "") -> None:
        """Refuse statistics of a single row, whose covariance is zero, and D eps^(-1/2) I, as batch normalization does.

        Raises:
            ValueError: for a single one, unless blocks share their statistics, or the layer takes it; and for none.
        """
        if rows == 0:
            refuse(self, "statistics need at least one sample, and no process has any")
        blocks = patches.groups(x.shape[1]) if patches.pooled else 1
        if rows * blocks > 1 or self.takes_single_rows:
            return
        strides = ", or count more patches (sampling_stride=1)" if hasattr(self, "sampling_stride") else ""
        refuse(
            self,
            f"the batch needs a covariance, and a single counted patch{where} has none; leave such batches out "
            f"(drop_last=True){strides}",
        )

    def root(self, cov: Tensor) -> Tensor:
        """The deconvolution matrix of a covariance that is finite."""
        o = self.options
        try:
            return unguarded(cov, method=o.method, steps=o.steps, lower=o.lower, scaled_steps=o.scaled_steps)
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            refuse(self, self._singular())

    def _singular(self) -> str:
        return (
            f"the covariance plus eps = {self.options.eps} has no inverse square root by method "
            f"{self.options.method!r}; choose a larger eps"
        )

    def averages(self) -> tuple[Tensor, Tensor]:
        """The running mean and the running D, or the root of the running covariance."""
        mean, second = self.running_mean, getattr(self, self._second)
        if mean is None:
            raise RuntimeError(f"{type(self).__name__}: there are no running averages; track_running_stats is off")
        if self.options.running == "deconvolution":
            return mean, second
        if torch.compiler.is_compiling():
            return mean, self.root(second)
        return mean, self._root.get((second,), lambda: (self.root(second),))[0]

    def _take(self, mean: Tensor, second: Tensor, fine: Tensor, *, awaited: bool) -> None:
        """Average in training, and remember what was not fine where nobody waits to see it."""
        if self.training:
            self._average(mean, second, fine)
        if not awaited:
            self.faulty |= ~fine

    @torch.no_grad()
    def _average(self, mean: Tensor, second: Tensor, fine: Tensor) -> None:
        """Take the batch into the averages if it is fine; nothing synchronizes."""
        if not self.options.track_running_stats or self.running_mean is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += fine
        weight = self._weight(self.num_batches_tracked.to(mean.dtype))
        averages: tuple[Tensor, ...] = (self.running_mean, getattr(self, self._second))
        for average, new in zip(averages, (mean, second), strict=True):
            blended = torch.lerp(average.to(new.dtype), new.detach(), weight)
            average.copy_(torch.where(fine, blended, average))

    def _weight(self, count: Tensor) -> Tensor:
        """That of the newest of so many batches."""
        m = self.options.momentum
        if m is None:
            return 1 / count.clamp(min=1)
        if not self.options.bias_correction:
            return torch.full_like(count, m)
        # 1 - (1 - m)^count, of which a small m leaves no digits
        log = math.log1p(-m) if m < 1 else -math.inf
        return -m / torch.expm1(count.clamp(min=1) * log)

    def folded_averages(self) -> tuple[Tensor, Tensor]:
        """Weight and bias that whiten by the running averages, computed once while no gradient is asked for."""
        if torch.compiler.is_compiling():
            return self.fold(*self.averages())
        # those that a parametrization computes are new ones every time
        learned: tuple[Any, ...] = (self.weight, self.bias)
        if torch.is_grad_enabled() and any(value is not None and value.requires_grad for value in learned):
            # the next step may be a fused optimizer's, which counts no versions
            self._fold = Memo()
            return self.fold(*self.averages())
        sources = (*learned, self.running_mean, getattr(self, self._second))
        folded = self._fold.get(sources, lambda: self.fold(*self.averages()))
        return folded[0], folded[1]

    def fold(self, mean: Tensor, D: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias that subtract this mean and multiply by this D first; each layer has its own."""
        raise NotImplementedError

    def whitening_repr(self) -> str:
        """The blocks, eps, and what options are not as they are by default."""
        shown: dict[str, Any] = {"block": self.block, "grouping": self.grouping, "pooled": self.pooled}
        if getattr(self, "sampling_stride", SAMPLING_STRIDE) != SAMPLING_STRIDE:
            shown["sampling_stride"] = self.sampling_stride
        usual = vars(Options(self.options.eps))
        shown |= {name: v for name, v in vars(self.options).items() if name == "eps" or v != usual[name]}
        return ", ".join(f"{name}={value}" for name, value in shown.items())

    def train(self, mode: bool = True) -> Self:
        """Switch to training, or evaluation, and raise if a batch was faulty; nothing folded is kept."""
        self._forget()
        self._choices.settle()
        return super().train(mode)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        """Convert, with nothing kept of what was."""
        super()._apply(fn, recurse)
        self._forget()
        return self

    def batched(self, x: Tensor) -> Tensor:
        """The input with a dimension of samples, which some layers do without."""
        return x

    def _forget(self) -> None:
        """Keep nothing that evaluation computed."""
        self._root, self._fold = Memo(), Memo()
