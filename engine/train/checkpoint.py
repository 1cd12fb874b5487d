"""The whole state of a training in one safetensors file, without pickle.

Tensors are stored as they are; what surrounds them (lists, dictionaries, numbers, types) goes as JSON into the header
of the file. Python writes and reads floats in JSON exactly, so a resumed training is the same to the last bit.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from engine.errors import ModelError


def save_state(state: Any, path: Path) -> None:
    """Write nested dictionaries, lists, numbers, texts and tensors; at once or not at all."""
    tensors: dict[str, Tensor] = {}
    save_tensors(tensors, path, json.dumps(_flatten(state, tensors)))


def save_tensors(tensors: dict[str, Tensor], path: Path, header: str = "") -> None:
    """Write named tensors, at once or not at all.

    Raises
    ------
    ModelError
        A file that cannot be written; one that was there stays as it was.
    """
    temporary = path.with_suffix(".part")
    try:
        # Not save_file, which makes files that only their owner can read.
        with temporary.open("wb") as file:
            file.write(save(tensors, {"state": header} if header else None))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        message = f"{path} cannot be written ({error.strerror or error}): free some space"
        raise ModelError(f"{message}; a training goes on from its last epoch with --resume") from error


def load_state(path: Path) -> Any:
    """Read what ``save_state`` wrote, on the CPU.

    Raises
    ------
    ModelError
        Not such a file, or a damaged one.
    """
    try:
        with safe_open(path, "pt") as file:
            header = (file.metadata() or {}).get("state")
            if header is None:
                raise ModelError(f"{path} is not a checkpoint of a training: delete it and start again")
            return _unflatten(json.loads(header), {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error}): delete it and start again") from error


def weights(network: nn.Module, *, half: bool = False) -> dict[str, Tensor]:
    """The state of a network as contiguous CPU tensors.

    ``half`` stores float16, but for the running statistics of batch normalisation, whose range it does not hold.
    """
    state = {}
    for name, tensor in network.state_dict().items():
        tensor = tensor.detach().cpu().contiguous().clone()
        halved = half and tensor.dtype == torch.float32 and "running_" not in name
        state[name] = tensor.half() if halved else tensor
    return state


def load_optimizer(optimizer: torch.optim.Optimizer, state: Any) -> None:
    """Restore the state of an optimizer that ``load_state`` read."""
    optimizer.load_state_dict(state)
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                # Files hold no memory format; the moments go back to that of their parameter, for speed.
                moments[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _flatten(value: Any, tensors: dict[str, Tensor]) -> Any:
    """JSON for a value; each tensor is put aside under a number that stands in its place."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, dict):
        return {"items": [[key, _flatten(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list):
        return [_flatten(item, tensors) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [_flatten(item, tensors) for item in value]}
    return {"dtype": str(value).removeprefix("torch.")} if isinstance(value, torch.dtype) else value


def _unflatten(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if "tensor" in value:
            return tensors[value["tensor"]]
        if "dtype" in value:
            return getattr(torch, value["dtype"])
        if "tuple" in value:
            return tuple(_unflatten(item, tensors) for item in value["tuple"])
        return {key: _unflatten(item, tensors) for key, item in value["items"]}
    return [_unflatten(item, tensors) for item in value] if isinstance(value, list) else value
