"""Verification of gradients: a ladder of rungs, strongest first, each with its own budget.

| rung | file | compared with | what only it sees |
|---|---|---|---|
| closed-form, repeated | `roots`, `layer` | the oracle in the eigenbasis | any error, to rounding |
| enumeration | `covariance` | patches, one by one | any error, pixel by pixel |
| lyapunov, block-matrix, complex-step | `roots` | derivatives without eigenvalues | errors of the oracle |
| differences | `differences` | the implementation's own values | a right gradient of another function |
| dot-product | `differences` | its own forward mode | an adjoint that is not the transpose |
| taylor | `differences` | second-order decay of the remainder | the same, without a choice of step |
| wiring | `wiring` | gradcheck and gradgradcheck | broken registration, second derivatives |
| batch-independence | `roots` | the gradient of each matrix alone | scalars of the whole batch |
| interleaving, inputs-unchanged | all three | the same gradient, asked for otherwise | reused buffers |
| correction | `layer` | the detached gradient, which must fail | a term that is not there |
"""
