"""The quickest way to run a network on this machine: OpenVINO where it is installed, else batch norms folded."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from engine.device import autocast, precision
from engine.errors import ModelError
from engine.models.folding import folded

Run = Callable[[Tensor], Tensor]
_SAME = {torch.float32: 1e-3, torch.bfloat16: 1e-2}  # of the largest output
_AS_EXACT = 4.0  # times the error of torch in the same precision


class Way(NamedTuple):
    """How to run a network, and what does it."""

    run: Run
    by: str


def quickest(network: nn.Module, example: Tensor) -> Way:
    """What gives the outputs of a network for batches like ``example``, on the CPU and without gradients.

    Choosing takes a second or two; ``DEEPLENSE_RUNTIME`` (torch, openvino) chooses instead. OpenVINO is taken only
    where it is about as exact as torch in the same precision.

    Raises
    ------
    ModelError : DEEPLENSE_RUNTIME asks for another one, or for OpenVINO where that is missing or not exact
    """
    wanted = os.environ.get("DEEPLENSE_RUNTIME", "")
    if wanted not in ("", "torch", "openvino"):
        raise ModelError(f"DEEPLENSE_RUNTIME is '{wanted}': use torch or openvino.")
    run = None if wanted == "torch" else _by_openvino(network.eval(), example)
    if run is None and wanted == "openvino":
        raise ModelError('OpenVINO cannot run this network here: pip install "deeplense-gui[cpu]", or use torch.')
    return Way(folded(network, example), "PyTorch") if run is None else Way(run, "OpenVINO")


def _by_openvino(network: nn.Module, example: Tensor) -> Run | None:
    """The network compiled by OpenVINO; None where that is not installed, or gives something else."""
    openvino = _openvino()
    if openvino is None:
        return None
    kind = precision(example.device)
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if kind is torch.bfloat16 else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",  # all threads on one batch: batches come one after the other
        "ENABLE_CPU_PINNING": False,  # other work goes on beside it
    }
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # what a trace might not follow is found out below
            model = openvino.convert_model(network, example_input=example)
            model.reshape({model.inputs[0]: [-1, *example.shape[1:]]})
            compiled = openvino.Core().compile_model(model, "CPU", settings)
    except (RuntimeError, ValueError, TypeError, AttributeError):  # an operation that it does not know
        return None

    def run(batch: Tensor) -> Tensor:
        return torch.from_numpy(compiled(batch.contiguous().numpy())[0].copy())

    return run if _agree(run, network, example) else None


def _agree(run: Run, network: nn.Module, example: Tensor) -> bool:
    """Whether something gives what a network gives, about as exactly as torch in the same precision, in any batch."""
    with torch.inference_mode():
        expected = network(example)
        with autocast(example.device):
            usual = (network(example).float() - expected).abs().max()
        bound = torch.maximum(_SAME[precision(example.device)] * expected.abs().max(), _AS_EXACT * usual)
        few = len(example) // 2
        try:
            pairs = (run(example), expected), (run(example[:few]), network(example[:few]))
        except RuntimeError:  # a trace that holds for one size of batch
            return False
    return all(found.shape == one.shape and bool((found - one).abs().max() <= bound) for found, one in pairs)


def _openvino() -> Any | None:
    """The package without its telemetry, which reports each import to its makers; None where it is not installed."""
    known = sys.modules.get("openvino_telemetry")
    if "openvino" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        import openvino
    except ImportError:
        return None
    finally:
        if known is None:
            sys.modules.pop("openvino_telemetry", None)
    return openvino
