"""Reading the weights of a model into its network."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from engine.errors import ModelError
from engine.models.card import weights_path
from engine.types import ModelCard


def fill(network: nn.Module, card: ModelCard, folder: Path) -> None:
    """Load the weights of a card into the network that was built from it.

    Raises
    ------
    ModelError
        Weights that are not those of the card, or do not fit its architecture.
    """
    try:
        network.load_state_dict(read_weights(card, folder))
    except RuntimeError as error:
        raise ModelError(
            f"the weights in {folder} do not fit the architecture {card.architecture} of the card: copy the model again"
        ) from error


def read_weights(card: ModelCard, folder: Path) -> dict[str, Tensor]:
    """The tensors of a model, verified against its card, on the CPU; half precision widened to float32."""
    path = weights_path(card, folder)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} cannot be read ({error}): copy the model again") from error
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
