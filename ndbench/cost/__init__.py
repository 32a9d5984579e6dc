"""What every operation and algorithm costs: counted where it runs, and predicted from shapes.

:func:`count`, :func:`peak_memory` and :func:`count_dots` run a function and count what it did. The models are functions
of shapes: `ndbench.cost.covariance`, `roots` and `layer` state flops of products that equal the counts exactly,
`kernels` those that Triton kernels execute, and `kernel_traffic` and `kernel_traffic_roots` the bytes that these load
and store.
"""

from ndbench.cost.counting import Count, Launch, count, count_dots, peak_memory

__all__ = ["Count", "Launch", "count", "count_dots", "peak_memory"]
