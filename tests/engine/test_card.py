"""Model cards on disk, and the library that finds them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.errors import ModelError
from engine.models import library
from engine.models.card import CARD, WEIGHTS, calibrated, file_sha256, load_card, save_card, weights_path
from engine.types import ModelCard

CARD_MADE = ModelCard(
    name="seeker",
    architecture="resnet18",
    task="lens finding",
    classes=("not", "lens"),
    bands=("g", "r", "i"),
    size=64,
    pixel_scales=(0.14, 0.42),
    channels=("stretch", "residual"),
    calibration={"slope": 1.25, "intercept": -0.5, "prior_training": 0.5, "prior": 0.01},
    weights_sha256="ab" * 32,
    recipe={"recipe": "finder", "seed": 3},
    history=({"epoch": 1.0, "auc": 0.9}, {"epoch": 2.0, "auc": 0.95}),
    limits='rings below 0.5" – untested',
)


def test_a_card_comes_back_as_it_went(tmp_path: Path) -> None:
    save_card(CARD_MADE, tmp_path)
    assert load_card(tmp_path) == CARD_MADE
    assert load_card(tmp_path).key == "seeker-abababababab"
    assert [path.name for path in tmp_path.iterdir()] == [CARD]


def test_numbers_json_cannot_hold_become_null(tmp_path: Path) -> None:
    save_card(replace(CARD_MADE, metrics={"auc": float("nan"), "ece": np.float32(0.5)}), tmp_path)
    assert json.loads((tmp_path / CARD).read_text())["metrics"] == {"auc": None, "ece": 0.5}


def test_a_card_of_a_later_version_opens(tmp_path: Path) -> None:
    data = json.loads(save_card(CARD_MADE, tmp_path).read_text())
    (tmp_path / CARD).write_text(json.dumps(data | {"invented_later": 1}))
    assert load_card(tmp_path) == CARD_MADE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "not a model card"),
        ('{"name": "x"}', "lacks architecture, task, classes"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_what_is_no_card_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    (tmp_path / CARD).write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ModelError, match=message):
        load_card(tmp_path)


@pytest.mark.parametrize(
    "fields",
    [
        {"calibration": None},
        {"calibration": {"slope": "steep"}},
        {"calibration": {"prior": 2.0}},
        {"calibration": [1.0]},
        {"targets": {"mass": 3}},
    ],
)
def test_what_is_no_calibration_is_refused(tmp_path: Path, fields: dict[str, object]) -> None:
    data = json.loads(save_card(CARD_MADE, tmp_path).read_text())
    (tmp_path / CARD).write_text(json.dumps(data | fields))
    with pytest.raises(ModelError, match=r"is not a model card \(.*copy the model again"):
        load_card(tmp_path)


def test_a_threshold_that_was_infinite_is_still_a_card(tmp_path: Path) -> None:
    save_card(replace(CARD_MADE, calibration={"threshold": float("inf")}), tmp_path)
    assert load_card(tmp_path).calibration == {"threshold": None}


def test_a_field_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    data = json.loads(save_card(CARD_MADE, tmp_path).read_text())
    (tmp_path / CARD).write_text(json.dumps(data | {"pixel_scales": "wide"}))
    with pytest.raises(ModelError, match="not a model card"):
        load_card(tmp_path)


def test_a_folder_without_card_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"{CARD} and {WEIGHTS}"):
        load_card(tmp_path)


def test_weights_must_be_those_of_the_card(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="missing"):
        weights_path(CARD_MADE, tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"weights")
    card = replace(CARD_MADE, weights_sha256=file_sha256(tmp_path / WEIGHTS))
    assert weights_path(card, tmp_path) == tmp_path / WEIGHTS
    (tmp_path / WEIGHTS).write_bytes(b"weightz")
    with pytest.raises(ModelError, match="not those of the card"):
        weights_path(card, tmp_path)


def test_calibration_is_platt_and_the_shift_of_the_prior() -> None:
    value = 1.25 * 2.0 - 0.5 + np.log(0.01 / 0.99)
    assert calibrated(2.0, CARD_MADE.calibration) == pytest.approx(1 / (1 + np.exp(-value)))
    assert calibrated([0.0, 800.0, -800.0], {}) == pytest.approx([0.5, 1.0, 0.0])


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    found = {"bundled": tmp_path / "bundled", "user": tmp_path / "user"}
    monkeypatch.setattr(library, "bundled_models", lambda: found["bundled"])
    monkeypatch.setattr(library, "user_models", lambda: found["user"])
    for home, name in (("bundled", "finder"), ("user", "seeker"), ("user", "broken")):
        (found[home] / name).mkdir(parents=True)
        save_card(replace(CARD_MADE, name=name), found[home] / name)
    (found["user"] / "broken" / CARD).write_text("{")
    return found


def test_models_are_listed_bundled_first_and_broken_ones_left_out(homes: dict[str, Path]) -> None:
    assert [card.name for card in library.list_models()] == ["finder", "seeker"]


def test_models_are_found_by_name_and_by_path(homes: dict[str, Path]) -> None:
    assert library.model_folder("finder") == homes["bundled"] / "finder"
    assert library.model_folder("seeker") == homes["user"] / "seeker"
    assert library.model_folder(homes["user"] / "seeker") == homes["user"] / "seeker"
    assert library.model_folder(homes["user"] / "seeker" / CARD) == homes["user"] / "seeker"


def test_a_users_model_hides_the_bundled_one(homes: dict[str, Path]) -> None:
    (homes["user"] / "finder").mkdir()
    save_card(CARD_MADE, homes["user"] / "finder")
    assert library.model_folder("finder") == homes["user"] / "finder"


def test_an_unknown_name_is_answered_with_what_comes_close(homes: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match=r"did you mean finder\?"):
        library.model_folder("findr")
    with pytest.raises(ModelError, match="there are finder"):
        library.model_folder("zzz")
    with pytest.raises(ModelError, match="holds no model"):
        library.model_folder(homes["user"])


def test_no_models_at_all(homes: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "model_folders", dict)
    with pytest.raises(ModelError, match="train one"):
        library.model_folder("finder")
