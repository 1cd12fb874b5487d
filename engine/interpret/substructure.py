"""Which substructure a lens may carry: its stamp among copies of the lens with and without substructure.

The networks know simulated lenses of one camera and no lens light, so that what they say of a stamp of the sky means
little by itself. Here they only have to tell apart copies of this very lens, with its PSF and its noise
(engine.interpret.lens_model.copies). How well they do that is known, as is whether the stamp looks like any copy. Where
either fails, nothing is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.model_selection import cross_val_predict

from engine.errors import ImageError, ModelError
from engine.images.cutouts import cut_array
from engine.interpret.aside import run_aside
from engine.interpret.lens_model.copies import Copies, make_copies
from engine.interpret.lens_model.view import FitRequest
from engine.models.card import load_card
from engine.models.library import model_folders
from engine.models.predict import Classifier
from engine.models.preprocess import prepare
from engine.simulate.dark_matter import CLASSES
from engine.types import FloatArray, LensFit, ModelCard, Step, Substructure

COPIES = 80
"""Of each class."""
RARE = 0.02
"""Fraction of copies further from their kind than the stamp, below which it is like none of them."""
_VIEWS = 8
_FOLDS = 5
_SHRINK = 0.05  # of covariances towards the identity
_SURE = 2.0  # standard deviations above chance


def tells_substructure(card: ModelCard) -> bool:
    """Whether a model tells kinds of substructure apart of which copies can be made, in any one band."""
    return card.bands == ("any",) and len(card.pixel_scales) == 1 and len(card.classes) > 1 and not (
        set(card.classes) - set(CLASSES)
    )  # fmt: skip


def substructure_models() -> list[str]:
    """Names in the library of the models that tell substructure; damaged ones are left out."""
    names = []
    for name, folder in model_folders().items():
        with suppress(ModelError):
            if tells_substructure(load_card(folder)):
                names.append(name)
    return names


def copies_of(request: FitRequest, fit: LensFit, seed: int = 0) -> Iterator[Step]:
    """Make copies of a fitted lens, in another process; the item of the last step is the Copies, or an ImageError."""
    call = partial(_copied, request, dict(fit.parameters), COPIES, seed)
    for step in run_aside([call], "Making copies of the lens"):
        yield Step(step.done, step.total, tuple(made for _, made in step.items), step.note)


def tell_all(
    requests: Sequence[FitRequest], fits: Sequence[LensFit], classifiers: Sequence[Classifier], processes: int = 1
) -> Iterator[Step]:
    """Tell the substructure of many lenses; each item is the index of a request with its Substructure.

    Where a fit found no lensed source the item is its index with None.

    Raises
    ------
    ModelError
        As ``tell``.
    """
    calls = [partial(_copied, request, dict(fit.parameters), COPIES, 0)
             for request, fit in zip(requests, fits, strict=True)]  # fmt: skip
    done, together = 0, 2 * processes  # so many lenses' copies are held at a time
    for first in range(0, len(calls), together):
        for step in run_aside(calls[first : first + together], "", processes):
            for index, made in step.items:
                told = None if isinstance(made, ImageError) else [*tell(made, classifiers)][-1].items[0]
                done += 1
                yield Step(done, len(calls), ((first + index, told),))


def _copied(request: FitRequest, parameters: Mapping[str, float], number: int, seed: int) -> Copies | ImageError:
    try:
        return make_copies(request, parameters, CLASSES, number, seed)
    except ImageError as error:
        return error


def tell(copies: Copies, classifiers: Sequence[Classifier]) -> Iterator[Step]:
    """Tell which substructure a stamp carries; the item of the last step is a Substructure.

    Of several networks the one is used that tells the copies apart best.

    Raises
    ------
    ModelError
        There is no network, or one that tells something else.
    """
    if not classifiers:
        raise ModelError("No model tells kinds of substructure apart: train one (deeplense simulate model-2, train)")
    best: Substructure | None = None
    for number, classifier in enumerate(classifiers):
        yield Step(number, len(classifiers), note=f"Comparing copies with {classifier.card.name}")
        found = _told(copies, classifier)
        best = found if best is None or found.right > best.right else best
    yield Step(len(classifiers), len(classifiers), (best,))


def _told(copies: Copies, classifier: Classifier) -> Substructure:
    card = classifier.card
    if not tells_substructure(card):
        raise ModelError(f"the model {card.name} tells {', '.join(card.classes)} apart in {', '.join(card.bands)}: "
                         f"choose one for {', '.join(CLASSES)} in any band")  # fmt: skip
    wanted = [copies.kinds.index(name) for name in card.classes]
    used = np.isin(copies.labels, wanted)
    labels = np.array([wanted.index(label) for label in copies.labels[used]])
    stamps = np.concatenate([copies.stamp[None], copies.copies[used]])
    places = _places(stamps, copies.pixel_scale, classifier)
    judged = _judge(places, labels)
    left = tuple(float(np.median(copies.left[used][labels == k])) for k in range(len(wanted)))
    chance = 1 / len(wanted)
    notes = []
    if judged.right < chance + _SURE * np.sqrt(chance * (1 - chance) / len(labels)):
        notes.append("The network cannot tell copies of this lens apart: nothing can be told")
    if judged.typical < RARE:
        notes.append(
            "The stamp is like no copy of the lens, there is something in it that the lens model does not know"
        )
    first = [int(np.argmax(labels == k)) for k in range(len(wanted))]
    return Substructure(
        card.name, card.classes, judged.probability, judged.right, chance, judged.typical, judged.seen[0],
        judged.seen[1:], labels, copies.stamp, copies.copies[used][first], left,
        copies.pixel_scale * len(copies.stamp), tuple(notes), copies.left_of_stamp,
    )  # fmt: skip


def _places(stamps: FloatArray, pixel_scale: float, classifier: Classifier) -> NDArray[np.float64]:
    """Where a network puts stamps (m, n, n): log odds (m, class - 1) of each class against the first."""
    card = classifier.card
    middle = np.full((1, 2), (stamps.shape[-1] - 1) / 2)
    cut = cut_array(stamps, middle, native_scale=pixel_scale, size=card.size, pixel_scales=card.pixel_scales)
    pixels = cut[0, 0][:, None, None]
    logits = classifier.outputs(prepare(pixels, card.channels), views=_VIEWS).mean(0)
    return np.asarray(logits if logits.shape[1] == 1 else logits[:, 1:] - logits[:, :1])


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    probability: tuple[float, ...]
    right: float
    typical: float
    seen: NDArray[np.float64]  # (1 + copy, 2)


def _judge(places: NDArray[np.float64], labels: NDArray[np.int64]) -> _Judged:
    """The first of ``places`` among the others, each class of which is taken for normally distributed."""
    stamp, copies = places[:1], places[1:]
    centre, width = np.median(copies, 0), np.maximum(copies.std(0), 1e-9)
    stamp, copies = (stamp - centre) / width, (copies - centre) / width
    model = QuadraticDiscriminantAnalysis(reg_param=_SHRINK).fit(copies, labels)
    right = float((cross_val_predict(model, copies, labels, cv=_FOLDS) == labels).mean())
    floor = 1 / np.bincount(labels).min()  # nobody knows the tails
    probability = np.clip(model.predict_proba(stamp)[0], floor, None)
    typical = max(_further(stamp, copies[labels == k]) for k in np.unique(labels))
    seen = np.concatenate([stamp, copies])
    if seen.shape[1] > 1:
        seen = (
            LinearDiscriminantAnalysis(n_components=2 if len(set(labels)) > 2 else 1)
            .fit(copies, labels)
            .transform(seen)
        )
    seen = np.pad(seen, ((0, 0), (0, 2 - seen.shape[1])))
    return _Judged(tuple((probability / probability.sum()).tolist()), right, typical, seen)


def _further(stamp: NDArray[np.float64], kind: NDArray[np.float64]) -> float:
    """Fraction of a kind that lies further from its middle than the stamp, in units of its own scatter."""
    middle = kind.mean(0)
    inverse = np.linalg.inv(np.atleast_2d(np.cov(kind.T)) + 1e-3 * np.eye(kind.shape[1]))

    def distance(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.einsum("ni,ij,nj->n", at - middle, inverse, at - middle))

    return float((distance(kind) >= distance(stamp)[0]).mean())
