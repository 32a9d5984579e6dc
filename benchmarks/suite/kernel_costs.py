"""What Triton kernels multiply, load and store by the models of ndbench.cost: exact, without a GPU."""

from importlib import import_module

from .measurement import attempt, known, needed

LAYER = ((256, 64, 56, 56), {"kernel_size": 3, "padding": 1, "block": 64})
COVARIANCES = ("im2col", "lagged", "covariance_adjoint")
STEPS = {"newton_schulz": (5, 0), "minimax_quintic": (5, 0), "denman_beavers": (9, 4)}
"""Of each method, and how many of them are scaled."""
MATRICES = {"n32-b1024": (1024, 32, 32), "n576-b16": (16, 576, 576)}
"""In registers, and in tiles."""
PROBLEMS = (*COVARIANCES, *(f"{m} {s} {n}" for m in STEPS for s in ("forward", "adjoint") for n in MATRICES))


class KernelCosts:
    """Of all launches together, in float32 and "ieee"; lower is better."""

    params = (PROBLEMS,)
    param_names = ("problem",)
    version = "1"

    def setup_cache(self):
        return {problem: attempt(costs, problem) for problem in PROBLEMS}

    def setup(self, found, problem):
        self.costs = known(found[problem])

    def track_flops(self, *_):
        """Of the products of tiles, padding included."""
        return self.costs["flops"]

    def track_loaded(self, *_):
        return self.costs["loaded"]

    def track_stored(self, *_):
        return self.costs["stored"]

    track_flops.unit = "flops"
    track_loaded.unit = "bytes"
    track_stored.unit = "bytes"


def costs(problem):
    """Flops, and bytes loaded and stored, of the launches that the models of the installed commit know."""
    if problem in COVARIANCES:
        model, traffic, of = problem, "kernel_traffic", layer()
    else:
        (model, *of), traffic = root(*problem.split()), "kernel_traffic_roots"
    (flops,) = needed("ndbench.cost.kernels", model)
    (moved,) = needed(f"ndbench.cost.{traffic}", model)
    launches = moved(*of)
    return {
        "flops": sum(count for _, count in flops(*of)),
        "loaded": sum(launch.loaded for launch in launches),
        "stored": sum(launch.stored for launch in launches),
    }


def layer():
    """The input, and its patches."""
    (patches,) = needed("ndbench.covariance", "Patches")
    shape, arguments = LAYER
    return empty(shape), patches.of(**arguments)


def root(method, side, size):
    """The name of the model, the matrices and the steps."""
    (steps_of,) = needed("ndbench.roots.adjoints.choice", "steps_of")
    steps, scaled = STEPS[method]
    model = "product_form" if method == "denman_beavers" else "coupled"
    model += "_adjoint" if side == "adjoint" else ""
    return model, empty(MATRICES[size]), steps_of(method, steps, 1e-4, scaled)


def empty(shape):
    """Of no device: models read shapes."""
    return import_module("torch").empty(shape, device="meta")
