"""Why kernels multiply in the forms they do: errors of equivalent forms of T steps, in float32.

`python -m benchmarks.forms` prints, for each iteration and condition, the distance from T steps in float64 of

- coupled: Y <- Y H, Z <- H Z, as in the references;
- schedule: the forms of `ndbench.kernels.newton_schulz`, every product with a polynomial of M on the right;
- mirrored: the same, one triangle of each product copied onto the other, as tiled kernels do;
- expanded: M <- M H^2 written out in powers of M by Horner's rule;
- crossed: Y <- Y H, Z <- Z H, which a commuting argument allows and rounding does not.
"""

import torch

from ndbench.kernels.newton_schulz.schedule import steps_schedule
from ndbench.problems import MatrixProblem
from ndbench.roots.adjoints.choice import steps_of

ITERATIONS = (("newton_schulz", 5), ("newton_schulz", 15), ("minimax_cubic", 5), ("minimax_quintic", 5))
CONDITIONS = (1e2, 1e4, 1e5)


def scheduled(M, coefficients, product):
    plan = steps_schedule(coefficients)
    buffers = [M, *[None] * (plan.buffers - 1)]
    eye = torch.eye(len(M), dtype=M.dtype)
    for phase in plan.phases:
        found = phase.delta * eye + phase.beta * buffers[phase.add]
        for left, right in phase.terms:
            found = found + phase.gamma * product(buffers[left], buffers[right])
        buffers[phase.out] = found
    return buffers[plan.answer]


def mirrored(X, Y):
    lower = torch.tril(X @ Y)
    return lower + torch.tril(lower, -1).mT


def expanded(M, coefficients):
    eye = torch.eye(len(M), dtype=M.dtype)
    Z = eye
    for a, b, c in coefficients:
        Q = M @ M
        Z = a * Z + b * (Z @ M) + c * (Z @ M) @ M
        M = a * a * M + 2 * a * b * Q + (Q @ M) @ ((b * b + 2 * a * c) * eye + 2 * b * c * M + c * c * Q)
    return Z


def coupled(M, coefficients, *, crossed):
    eye = torch.eye(len(M), dtype=M.dtype)
    Y, Z = M, eye
    for a, b, c in coefficients:
        P = Z @ Y
        H = a * eye + b * P + c * (P @ P)
        Y, Z = Y @ H, Z @ H if crossed else H @ Z
    return Z


FORMS = {
    "coupled": lambda M, steps: coupled(M, steps, crossed=False),
    "schedule": lambda M, steps: scheduled(M, steps, torch.matmul),
    "mirrored": lambda M, steps: scheduled(M, steps, mirrored),
    "expanded": expanded,
    "crossed": lambda M, steps: coupled(M, steps, crossed=True),
}


def error(form, method, steps, n, condition):
    A = MatrixProblem("geometric", n, condition, batch=1).matrices()[0].double()
    iteration = steps_of(method, steps, 1e-4, 0)
    norm = torch.linalg.matrix_norm(A)
    found = FORMS[form]((A / norm).float(), iteration.coefficients).double() / norm.sqrt()
    true = iteration.run(A)[0]
    return float(torch.linalg.matrix_norm(found - true) / torch.linalg.matrix_norm(true))


def main(n=64):
    print(f"| iteration | condition | {' | '.join(FORMS)} |\n|---|---|{'---|' * len(FORMS)}")
    for method, steps in ITERATIONS:
        for condition in CONDITIONS:
            errors = " | ".join(f"{error(form, method, steps, n, condition):.1e}" for form in FORMS)
            print(f"| {method}, T = {steps} | {condition:.0e} | {errors} |", flush=True)


if __name__ == "__main__":
    main()
