"""Verification of gradients: a ladder of rungs, strongest first, each with its own budget.

| rung | file | compared with | what only it sees |
|---|---|---|---|
| closed-form, repeated | `roots`, `layer` | the oracle in the eigenbasis | any error, to rounding |
| enumeration | `covariance` | patches, one by one | any error, pixel by pixel |
| parameters, detached | `layer` | the oracle's other parts | weight, bias, and correction=False |
| lyapunov, block-matrix, complex-step | `roots` | derivatives without eigenvalues | errors of the oracle |
| differences | all three | the implementation's own values | a right gradient of another function |
| dot-product | all three | its own forward mode | an adjoint that is not the transpose |
| taylor | `roots` | second-order decay of the remainder | the same, without a choice of step |
| wiring, second-derivative | all three | gradcheck, gradgradcheck | broken registration, gradients of gradients |
| batch-independence | `roots` | the gradient of each matrix alone | scalars of the whole batch |
| strides | `roots`, `covariance` | the same numbers laid out otherwise | storage read as if contiguous |
| leading-dimensions | `roots` | the same numbers in more or fewer dimensions | batches taken for one |
| interleaving | all three | the same gradient after another pass | reused buffers; in `covariance` changed inputs |
| inputs-unchanged | `roots`, `layer` | what was asked | changed inputs |
| correction | `layer` | the detached gradient, which must fail | a term that is not there |

What an implementation promises of derivatives (`catalog.DERIVATIVES`) and refuses is a failure of every rung that needs
it; what it does not promise and refuses is not run.
"""
