"""The public inverse square roots."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ndbench import roots
from ndbench.kernels.precision import require_precision
from ndbench.kernels.runtime import capturing, require_kernel_input
from ndbench.operations.backends import choose_backend, require_backend, require_no_precision
from ndbench.operations.definite import faults, require_none, require_square_floats
from ndbench.roots.adjoints import Coupled, ProductForm, with_adjoint
from ndbench.roots.adjoints.choice import ADJOINTS, recorded, recurrence_for, steps_of
from ndbench.roots.adjoints.refusals import severed, without_forward_mode, without_gradient
from ndbench.roots.coefficients import schedule
from ndbench.roots.precision import identity_like, working_type

METHODS = (
    "newton_schulz",
    "denman_beavers",
    "denman_beavers_plain",
    "minimax_cubic",
    "minimax_quintic",
    "spectral",
    "scipy_sqrtm",
    "scipy_power",
)
POLYNOMIAL = ("newton_schulz", "minimax_cubic", "minimax_quintic")
"""Methods that evaluate a polynomial of A: they need no inverse, so A may be semidefinite to rounding."""
ITERATIVE = METHODS[:5]
KERNELS = (*POLYNOMIAL, "denman_beavers")
"""Methods that Triton kernels serve."""


def inverse_sqrt(
    A: Tensor,
    *,
    method: str = "newton_schulz",
    steps: int = 5,
    lower: float = 1e-4,
    scaled_steps: int | None = None,
    check: bool = True,
    backend: str = "auto",
    precision: str | None = None,
    adjoint: str = "auto",
) -> Tensor:
    """Inverse square root of symmetric positive definite matrices, or the map of T steps of an iteration.

    The iterations stop after exactly `steps` steps, and the map they compute is not the inverse square root: five
    Newton-Schulz steps on a geometric spectrum of order 32 are 3 % off at condition 10 and 35 % at 100, of order 128
    10 % and 47 %. `inverse_sqrt_to_tolerance` iterates until converged. "newton_schulz" and the minimax methods are
    polynomials of A, and accept matrices that are positive semidefinite to rounding (eigenvalues above -n u ||A||_F);
    the other methods invert.

    Args:
        A: symmetric positive definite, shape (..., n, n), float64, float32, float16 or bfloat16. An empty batch, or
            n = 0, gives the empty answer.
        method: "newton_schulz" (coupled), "denman_beavers" (product form with determinantal scaling),
            "denman_beavers_plain", "minimax_cubic", "minimax_quintic", "spectral", "scipy_sqrtm" or "scipy_power".
        steps: iterations T, at least 1; the direct methods (the last three) have none.
        lower: minimax only: lower bound of the spectrum of A / ||A||_F, in (0, 1].
        scaled_steps: "denman_beavers" only: steps with determinantal scaling, 0 to T; None scales every step.
        check: validate A first and raise, naming the batch indices. With False nothing is raised for A's values: the
            answer is NaN in exactly the matrices at fault, and nothing synchronizes (SciPy's methods copy to the CPU).
        backend: "torch"; "triton" for kernels of "newton_schulz", the minimax methods and "denman_beavers" in float32,
            float16 and bfloat16 on a GPU, with an adjoint of their own, which keeps nothing for the polynomial methods;
            "auto" for "triton" wherever that is possible, and "torch" everywhere else. Kernels of "denman_beavers"
            invert in float64, so that they lose far less than the condition number.
        precision: of the float32 products of kernels: "ieee" (for None), "tf32x3" (three tf32 products for each,
            nearly as exact) or "tf32" (11 bits); "denman_beavers" multiplies in "ieee" up to order 64 all the same.
            PyTorch's own follow `torch.set_float32_matmul_precision`.
        adjoint: how the gradient is computed.
            "reverse": by reversing exactly T steps, from the iterates kept; the answer is that of the loop, bit for
            bit. For "newton_schulz", "minimax_*" and "denman_beavers".
            "eigenbasis": for these three and "spectral" the map is evaluated as V diag(z(l)) V^T, A = V diag(l) V^T,
            and its gradient by divided differences of z, which stay finite where eigenvalues meet. One eigh, in float32
            or better, and five products whatever T is; the answer of T steps differs from the loop's by rounding.
            "lyapunov": "spectral" only, by solving A^(1/2) X + X A^(1/2) = -D G D.
            "autograd": through the operations of the method, as PyTorch differentiates them; for "spectral" this is NaN
            at repeated eigenvalues.
            "auto": "eigenbasis" for "spectral", and on a CPU in float32 and float64 for "newton_schulz" of T = 4 or 5
            from n = 128 on: there forward and backward take 0.3 to 0.9 of the time of "reverse"
            (`python -m benchmarks.gradients`), with up to five times its error, 2e-6 at n = 576 in float32. Otherwise
            "reverse", or "autograd" for methods without it. Where no gradient is recorded, nothing is kept for one.

    Returns:
        D of A's shape and type. float16 and bfloat16 use their own products in the polynomial methods; the others,
        and "eigenbasis", compute in float32 and round once. Gradients are computed in the same types.

        The gradient of "reverse", "eigenbasis" and "lyapunov" is symmetric, that of A -> f((A + A^T) / 2), since the
        function is defined on symmetric matrices; "autograd" returns another representative. It is zero for matrices
        at fault. With these three, double backward, forward mode and torch.func work to any order; vmap and full graphs
        need check=False. torch.compile has the gradient, and compiles the transforms of torch.func in reverse mode
        (those of "spectral" not one in the other). A second derivative of a compiled function is lost in PyTorch
        without an error, for torch.exp too. "denman_beavers" with "autograd" refuses forward mode, which PyTorch gets
        wrong there; "scipy_sqrtm" and "scipy_power" refuse every derivative.

    Raises:
        TypeError: if A is not a dense real floating-point tensor.
        RuntimeError: with `check`, where a CUDA graph is being captured.
        ValueError: if A is not square, or (with `check`) not finite, not symmetric, not positive definite; or if
            another argument is out of its range.
        NotImplementedError: when a derivative is asked for that the method does not have.

    Example:
        >>> import torch, ndbench
        >>> A = torch.tensor([[5.0, 4.0], [4.0, 5.0]], dtype=torch.float64)  # eigenvalues 9 and 1
        >>> torch.round(ndbench.inverse_sqrt(A, method="spectral") * 3, decimals=12)
        tensor([[ 2., -1.],
                [-1.,  2.]], dtype=torch.float64)

    References:
        Ye et al., Network Deconvolution, ICLR 2020, section 3.5.
        Higham, Functions of Matrices, SIAM 2008, chapters 1 and 6; section 3.2 for the derivative.
        Lin and Maji, Improved bilinear pooling with CNNs, BMVC 2017 ("lyapunov").
        Ionescu, Vantzos and Sminchisescu, Matrix backpropagation for deep networks with structured layers, ICCV 2015.
    """
    require_square_floats(A, "inverse_sqrt")
    require_backend(backend, "inverse_sqrt")
    options = _Options(method, steps, lower, scaled_steps, adjoint)
    chosen = choose_backend(backend, A, "inverse_sqrt", options.obstacle())
    function = options.function(chosen, precision)
    if chosen == "triton":
        require_kernel_input(A, "inverse_sqrt")
        # half types of the others are computed in float32
        products = A.dtype if method in POLYNOMIAL else working_type(A.dtype)
        require_precision(precision or "ieee", products, "inverse_sqrt")
    if A.numel() == 0:
        return A.clone()
    return _guarded(A, function, semidefinite=method in POLYNOMIAL, check=check, name="inverse_sqrt")


def require_options(method: str, steps: int, lower: float, scaled_steps: int | None) -> None:
    """Raise as `inverse_sqrt` would for these arguments."""
    _Options(method, steps, lower, scaled_steps, "auto")


def unguarded(
    A: Tensor, *, method: str, steps: int, lower: float, scaled_steps: int | None, backend: str = "auto"
) -> Tensor:
    """`inverse_sqrt` of matrices that are symmetric and finite by construction: their values are not looked at.

    Where A is not positive definite the answer is what the method makes of it; "spectral" and Denman-Beavers may raise.
    """
    options = _Options(method, steps, lower, scaled_steps, "auto")
    return options.function(choose_backend(backend, A, "inverse_sqrt", options.obstacle()), None)(A)


def inverse_sqrt_to_tolerance(
    A: Tensor,
    *,
    method: str = "newton_schulz",
    tolerance: float | None = None,
    max_steps: int = 100,
    lower: float = 1e-4,
    check: bool = True,
) -> roots.Convergence:
    """Iterate until the inverse square root has converged, with a status for each matrix.

    A matrix has converged once ||I - Z Y||_F (in product form ||I - M||_F) is at most `tolerance`, and has stagnated
    once rounding keeps that residual from falling. The coupled forms cannot get it below about 2 u sqrt(kappa), so
    ill-conditioned matrices end as stagnated, with an answer as good as the type allows; "denman_beavers" judges M,
    which does converge. A matrix that ended is frozen: batch mates do not change its answer.

    D and the residual have no derivative: the number of steps is no smooth function of A, and at A = I none at all are
    taken. Differentiate `inverse_sqrt`, whose method "spectral" has the gradient of the root. torch.compile runs the
    iteration between its graphs.

    Args:
        A: symmetric positive definite, shape (..., n, n), as for `inverse_sqrt`.
        method: one of the iterations: "newton_schulz", "denman_beavers" (every step scaled), "denman_beavers_plain",
            "minimax_cubic", "minimax_quintic".
        tolerance: bound on the residual; None means (n + 8) u, u the unit roundoff of the type computed in.
        max_steps: steps after which a matrix still improving ends with the status "limit".
        lower: minimax only, as for `inverse_sqrt`.
        check: as for `inverse_sqrt`; with False the matrices at fault get NaN and the status "invalid". Either way the
            statuses are read after each step, which synchronizes.

    Returns:
        `Convergence`: D, and for each matrix its status (`ndbench.roots.Status`), steps taken and residual.

    Raises:
        TypeError, ValueError: as `inverse_sqrt`; ValueError also for a direct method.
        NotImplementedError: when a derivative of D or of the residual is asked for.
        RuntimeError: under torch.func.vmap, which hides the values that the number of steps depends on.

    Example:
        >>> import torch, ndbench
        >>> A = torch.tensor([[[5.0, 4.0], [4.0, 5.0]], [[1.0, 0.0], [0.0, 1.0]]], dtype=torch.float64)
        >>> answer = ndbench.inverse_sqrt_to_tolerance(A, method="denman_beavers")
        >>> answer.status.tolist(), answer.steps.tolist()
        ([0, 0], [2, 0])

    References:
        Higham, Functions of Matrices, SIAM 2008, section 6.4 (stopping) and theorem 6.9 (quadratic convergence).
    """
    name = "inverse_sqrt_to_tolerance"
    require_square_floats(A, name)
    if method not in ITERATIVE:
        raise ValueError(f"{name}: method must be an iteration, one of {', '.join(ITERATIVE)}; got {method!r}")
    if whole(max_steps, "max_steps", name) < 1:
        raise ValueError(f"{name}: max_steps must be at least 1; got {max_steps}")
    if not 0 < lower <= 1:
        raise ValueError(f"{name}: lower must lie in (0, 1], relative to ||A||_F; got {lower}")
    if tolerance is not None and not tolerance > 0:
        raise ValueError(f"{name}: tolerance must be positive; got {tolerance}")
    if A.numel() == 0:
        none = torch.zeros(A.shape[:-2], dtype=torch.int64, device=A.device)
        return roots.Convergence(A.clone(), status=none, steps=none, residual=none.double())
    if capturing(A.device):
        raise RuntimeError(
            f"{name}: the number of steps depends on values, which a CUDA graph that is being captured cannot read; "
            "use ndbench.inverse_sqrt with check=False"
        )
    try:
        ended = _iterate(A, method, tolerance, max_steps, lower, check=check)
    except RuntimeError as error:
        if "vmap" not in str(error):
            raise
        raise RuntimeError(
            f"{name}: the number of steps depends on values, which torch.func.vmap hides; pass the batch itself"
        ) from error
    refusal = f"{name}: D and the residual have no derivative; differentiate ndbench.inverse_sqrt"
    return replace(ended, D=severed(ended.D, A, refusal), residual=severed(ended.residual, A, refusal))


@torch.no_grad()
def _iterate(
    A: Tensor, method: str, tolerance: float | None, max_steps: int, lower: float, *, check: bool
) -> roots.Convergence:
    bad = _faulty(A, semidefinite=method in POLYNOMIAL, check=check, name="inverse_sqrt_to_tolerance")
    safe = torch.where(bad[..., None, None], identity_like(A), A)
    iterates, settling = _iterates(safe, method, lower)
    if tolerance is None:
        computed_in = A.dtype if method in POLYNOMIAL else working_type(A.dtype)
        tolerance = (A.shape[-1] + 8) * torch.finfo(computed_in).eps / 2
    ended = roots.until(iterates, tolerance, max_steps, settling)
    return roots.Convergence(
        D=torch.where(bad[..., None, None], torch.nan, ended.D),
        status=torch.where(bad, int(roots.Status.INVALID), ended.status),
        steps=torch.where(bad, 0, ended.steps),
        residual=torch.where(bad, torch.nan, ended.residual),
    )


@dataclass(frozen=True)
class _Options:
    """The arguments that choose the function to compute, checked."""

    method: str
    steps: int
    lower: float
    scaled_steps: int | None
    adjoint: str

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"inverse_sqrt: method must be one of {', '.join(METHODS)}; got {self.method!r}")
        if whole(self.steps, "steps", "inverse_sqrt") < 1:
            raise ValueError(f"inverse_sqrt: steps must be at least 1; got {self.steps}")
        if not 0 < self.lower <= 1:
            raise ValueError(f"inverse_sqrt: lower must lie in (0, 1], relative to ||A||_F; got {self.lower}")
        scaled_steps = 0 if self.scaled_steps is None else whole(self.scaled_steps, "scaled_steps", "inverse_sqrt")
        if not 0 <= scaled_steps <= self.steps:
            raise ValueError(
                f"inverse_sqrt: scaled_steps must lie between 0 and steps = {self.steps}; got {self.scaled_steps}"
            )
        if self.adjoint not in ADJOINTS[self.method]:
            raise ValueError(
                f"inverse_sqrt: adjoint must be one of {', '.join(ADJOINTS[self.method])} for method "
                f"{self.method!r}; got {self.adjoint!r}"
            )

    def obstacle(self) -> str:
        """Why no kernel can serve; empty if one can."""
        if self.method not in KERNELS:
            return f"there is no Triton kernel for method {self.method!r}, only for {', '.join(KERNELS)}"
        if self.adjoint != "auto":
            return f"Triton kernels have an adjoint of their own, adjoint='auto'; got {self.adjoint!r}"
        return ""

    def function(self, backend: str, precision: str | None) -> Callable[[Tensor], Tensor]:
        if backend == "triton":
            return partial(self._with_kernels, precision=precision or "ieee")
        require_no_precision(precision, "inverse_sqrt")
        if self.adjoint == "autograd" or len(ADJOINTS[self.method]) == 2:
            return self._plain()
        return self._with_adjoint

    def _with_kernels(self, A: Tensor, precision: str) -> Tensor:
        # Triton is loaded when it is first asked for
        from ndbench.kernels.roots import by_kernels  # noqa: PLC0415

        return with_adjoint(A, by_kernels(self._iteration(), precision, recorded=recorded(A)))

    def _with_adjoint(self, A: Tensor) -> Tensor:
        iteration = None if self.method == "spectral" else self._iteration()
        return with_adjoint(A, recurrence_for(A, self.adjoint, iteration))

    def _plain(self) -> Callable[[Tensor], Tensor]:
        """The method itself, as autograd sees it."""
        functions: dict[str, Callable[[Tensor], Tensor]] = {
            "newton_schulz": lambda A: roots.newton_schulz(A, self.steps),
            "denman_beavers": self._denman_beavers,
            "denman_beavers_plain": lambda A: roots.denman_beavers_plain(A, self.steps),
            "minimax_cubic": self._minimax,
            "minimax_quintic": self._minimax,
            "spectral": roots.spectral,
            "scipy_sqrtm": lambda A: self._scipy(A, roots.scipy_sqrtm),
            "scipy_power": lambda A: self._scipy(A, roots.scipy_power),
        }
        return functions[self.method]

    def _minimax(self, A: Tensor) -> Tensor:
        # the operations of roots.minimax, whose coefficients the compiler cannot trace
        return self._iteration().run(A)[0]

    def _denman_beavers(self, A: Tensor) -> Tensor:
        # PyTorch issue 196682: cholesky_inverse
        refusal = (
            "inverse_sqrt: forward mode through adjoint='autograd' of method 'denman_beavers' is not possible, because "
            "PyTorch's derivative of the Cholesky inverse is wrong in forward mode; use adjoint='reverse'"
        )
        return roots.denman_beavers(without_forward_mode(A, refusal), self.steps, self._scaled_steps())

    def _scipy(self, A: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        refusal = (
            f"inverse_sqrt: method {self.method!r} has no derivative; use method='spectral', which computes the same "
            "function, or detach A"
        )
        return without_gradient(A, function, refusal)

    def _iteration(self) -> Coupled | ProductForm:
        return steps_of(self.method, self.steps, self.lower, self._scaled_steps())

    def _scaled_steps(self) -> int:
        return self.steps if self.scaled_steps is None else self.scaled_steps


def whole(value: int, argument: str, name: str) -> int:
    """The value, if it is a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: {argument} must be an integer; got {value!r}")
    return value


def _iterates(A: Tensor, method: str, lower: float) -> tuple[Iterator[tuple[Tensor, Tensor]], int]:
    """The iterates of a method, and how many steps they take to settle."""
    if method.startswith("minimax"):
        degree = 3 if method == "minimax_cubic" else 5
        return roots.minimax_iterates(A, lower, degree), len(schedule(lower, degree))
    functions = {
        "newton_schulz": roots.newton_schulz_iterates,
        "denman_beavers": roots.denman_beavers_iterates,
        "denman_beavers_plain": roots.denman_beavers_plain_iterates,
    }
    return functions[method](A), 0


def _guarded(A: Tensor, function: Callable[[Tensor], Tensor], *, semidefinite: bool, check: bool, name: str) -> Tensor:
    """function(A) with NaN in exactly the matrices at fault, or an error that names them."""
    bad = _faulty(A, semidefinite=semidefinite, check=check, name=name)
    # the identity stands in for matrices at fault: LAPACK refuses a whole batch for one NaN; with `check` none is
    bare = check and not recorded(A)
    safe = A if bare else torch.where(bad[..., None, None], identity_like(A), A)
    D = function(safe)
    if not check:
        return torch.where(bad[..., None, None], torch.nan, D)
    lost = ~D.isfinite().all(dim=-1).all(dim=-1)
    _require_none({f"not positive definite to working precision in {A.dtype}": lost}, name)
    return D


def _faulty(A: Tensor, *, semidefinite: bool, check: bool, name: str) -> Tensor:
    """Which matrices are at fault, shape (...); with `check` none is, or an error says which."""
    found = faults(A, semidefinite=semidefinite)
    if check:
        _require_none(found, name)
    return torch.stack(list(found.values())).any(dim=0)


def _require_none(found: dict[str, Tensor], name: str) -> None:
    """`require_none`, which reads values, with advice where a capture or torch.func cannot give them."""
    if any(capturing(where.device) for where in found.values()):
        raise RuntimeError(
            f"{name}: check=True reads values on the host, which a CUDA graph that is being captured cannot record; "
            "pass check=False"
        )
    try:
        require_none(found, name)
    except RuntimeError as error:
        if "vmap" not in str(error):
            raise
        raise RuntimeError(f"{name}: check=True reads values, which torch.func.vmap hides; pass check=False") from error
