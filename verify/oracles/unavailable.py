"""The answer of an oracle that cannot answer."""


class OracleUnavailable(RuntimeError):
    """No truth of the wanted kind can be had here; the message says why. A check reports it as "not run"."""
