"""Implementations side by side: time, error, and the fraction of what the hardware allows."""
