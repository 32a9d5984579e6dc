"""The choice of backend, made aloud."""

BACKENDS = ("auto", "torch", "triton")


def require_backend(backend: str, name: str) -> None:
    """Raise unless the PyTorch implementation may serve this request.

    "auto" means PyTorch for as long as the operation has no Triton kernel; a request for "triton" never falls back.
    """
    if backend not in BACKENDS:
        raise ValueError(f"{name}: backend must be one of {', '.join(BACKENDS)}; got {backend!r}")
    if backend == "triton":
        raise NotImplementedError(f"{name}: there is no Triton kernel for this operation yet; use backend='torch'")
