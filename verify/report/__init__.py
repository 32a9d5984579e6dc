"""How verdicts are shown and stored."""
