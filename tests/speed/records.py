"""Where times come from, as every record of them says it."""

import functools
import os
import re

import torch

from ndbench.environment import environment, processor

MOMENTARY = ("commit", "clocks.sm", "clocks.mem")
"""What differs from run to run of one machine."""


@functools.cache
def now():
    """The environment of this run: asking for it starts programs."""
    return environment()


def name_of(device):
    """The GPU's name, or the CPU's model and how many cores there are."""
    return torch.cuda.get_device_name() if device == "cuda" else f"{processor()}, {os.cpu_count()} cores"


def slug(device):
    """A folder's name."""
    return re.sub(r"[^a-z0-9]+", "-", f"{device} {name_of(device)}".lower()).strip("-")


def machine(device):
    """What all records of a run have in common and another run on this machine would have too."""
    return {**{key: value for key, value in now().items() if key not in MOMENTARY}, "device": name_of(device)}


def record(case, device):
    """Of one time: device, driver, how float32 is multiplied, commit; judging adds the error and what is allowed."""
    return {
        "device": name_of(device),
        "driver": now().get("driver_version", "none"),
        **case.contender.provenance,
        "threads": torch.get_num_threads(),
        **{key: now()[key] for key in MOMENTARY if key in now()},
    }
