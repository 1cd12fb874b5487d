"""Which device the networks run on, in which precision, and how many stamps fit.

The only settings are two environment variables: ``DEEPLENSE_DEVICE`` (cpu, cuda, cuda:1, mps) overrides the choice,
``DEEPLENSE_PRECISION`` (float32, bfloat16) the precision.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext

import torch

from engine.errors import ModelError


def pick_device(name: str | None = None) -> torch.device:
    """The named device, or the best there is: CUDA, then Apple's MPS, then the CPU.

    Raises ModelError for a device this machine does not have.
    """
    name = name or os.environ.get("DEEPLENSE_DEVICE")
    if not name:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError(f"There is no device called '{name}': use cpu, cuda, cuda:N or mps.") from error
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(device.type, False):
        raise ModelError(f"The device '{name}' is not there on this machine: use cpu, or let the program choose.")
    return device


def spare_a_core() -> None:
    """Let the networks that run in this thread have all cores but one: a window is drawn on that.

    On two cores a scan is no slower for it: its other parts run meanwhile (docs/results.md, scan while panning).
    """
    torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 1) - 1)))


def half_is_fast(device: torch.device) -> bool:
    """Whether bfloat16 is quicker than float32 on a device: on CUDA, and on processors that multiply it in hardware.

    The scores of the bundled finder in bfloat16 differ from those in float32 by about 0.01 at the most
    (docs/results.md); without the hardware it is emulated, and slower.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # Both are private in torch: without them, no.
    probes = (getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
    return device.type == "cpu" and any(probe() for probe in probes if probe is not None)


def precision(device: torch.device) -> torch.dtype:
    """What the networks compute in: bfloat16 where it is quicker, else float32; or what the environment asks for.

    Raises ModelError where that is neither.
    """
    name = os.environ.get("DEEPLENSE_PRECISION") or ("bfloat16" if half_is_fast(device) else "float32")
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if name not in known:
        raise ModelError(f"DEEPLENSE_PRECISION is '{name}': use float32 or bfloat16.")
    return torch.float32 if device.type == "mps" else known[name]


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """A context in which ``precision(device)`` holds; open it for one batch, never across a yield."""
    kind = precision(device)
    return nullcontext() if kind is torch.float32 else torch.autocast(device.type, kind)


def batch_size(device: torch.device, stamp_values: int) -> int:
    """How many stamps of so many float32 values to send through a network at once.

    On a CPU larger batches gain nothing once its cores are busy; on a GPU a network of the size we use needs roughly
    300 times the memory of its input.
    """
    if device.type != "cuda":
        return 64
    free, _ = torch.cuda.mem_get_info(device)
    return int(min(2048, max(16, 0.5 * free / (300 * 4 * stamp_values))))
