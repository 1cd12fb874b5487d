"""How a finder ranks real lenses among real galaxies and sources, none of which it was trained on.

Reads the real images in ``DEEPLENSE_REAL_DATA`` (or ``shared/data`` beside the checkout): stamps of lenses, stamps of
galaxies, fields with a known lens and fields without any. Prints both lists, worst lens first, and one JSON line.
A model of g, r and i is shown what there is in these bands.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.io import fits
from PIL import Image
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from engine.detect.scan import scan
from engine.detect.scoring import bands_for
from engine.detect.stamps import score_stamps
from engine.images.cutouts import cut
from engine.images.mosaic import open_mosaic
from engine.models.predict import Classifier, load_classifier
from engine.types import Detection, Mosaic, ScanRequest

ROOT = Path(__file__).resolve().parents[2]
GALAXIES = {"des_g.fits": 0.263, "des_r.fits": 0.263, "des_i.fits": 0.263, "COSMOSWeb_galaxy_6701_image.fits": 0.03}
MASKED = 100.0  # in stamps of the challenge
NOT_GALAXIES = ("abell_2744_group",)  # holds a lensing group
ARCS = {"abell370_I.fits": (992, 799, 20), "cfhtls_w3_{}.fits": (222, 230, 8)}
EMPTY = {"sdss_{}.fits.bz2": "gri", "2mass_{}.fits": "jhk"}


def stamps_of(classifier: Classifier, files: list[Path], scales: dict[str, float]) -> dict[str, float]:
    """Score of every stamp (file, or file and plane) by its name."""
    found = {}
    for file in files:
        for step in score_stamps([file], classifier=classifier, pixel_scale=scales.get(file.name)):
            for item in step.items:
                name = f"{file.name}[{item.plane}]" if hasattr(item, "plane") else ""
                found[name] = item.raw_score
    return found


def bologna(classifier: Classifier, folder: Path) -> dict[str, float]:
    """AUC on the simulated stamps of the Bologna lens challenge, space and ground (mean raw score of the bands)."""
    auc = {}
    for name in ("space_based", "ground_based"):
        scores: dict[int, list[float]] = {0: [], 1: []}
        for label, kind in enumerate(("nolens", "lens")):
            by_id: dict[str, list[float]] = {}
            for file in sorted((folder / name / kind).rglob("*.fits")):
                values = stamps_of(classifier, [file], {file.name: 0.1 if name == "space_based" else 0.2})
                by_id.setdefault(file.stem.rsplit("-")[-1], []).extend(values.values())
            scores[label] = [float(np.mean(values)) for values in by_id.values()]
        auc[name] = round(float(roc_auc_score([0] * len(scores[0]) + [1] * len(scores[1]), scores[0] + scores[1])), 3)
    return auc


def in_colour(classifier: Classifier, pixels: np.ndarray, scale: float) -> float:
    """Score of the object in the middle of an image in g, r and i, (3, y, x), pixels of ``scale`` arcsec."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{band}.fits" for band in "gri"]
        for file, image in zip(files, pixels, strict=True):
            fits.writeto(file, np.asarray(image, np.float32))
        mosaic = open_mosaic(files, bands=list("gri"), pixel_scale=scale)
        centre = (np.array([[mosaic.shape[1], mosaic.shape[0]]]) - 1) / 2
        card = classifier.card
        stamps = cut(mosaic, centre, size=card.size, pixel_scales=card.pixel_scales, bands=bands_for(card, mosaic))
        return float(classifier.score_bands(stamps, views=8).raw_score[0])


def challenge_in_colour(classifier: Classifier, folder: Path) -> float:
    """AUC on the ground stamps of the Bologna lens challenge, their g, r and i together."""
    scores: dict[int, list[float]] = {0: [], 1: []}
    for label, kind in enumerate(("nolens", "lens")):
        for green in sorted((folder / "ground_based" / kind).rglob("*_G-*.fits")):
            number = green.stem.rsplit("-")[-1]
            files = [next((folder / "ground_based" / kind).rglob(f"*_{band}-{number}.fits")) for band in "GRI"]
            pixels = np.stack([fits.getdata(file).astype(np.float32) for file in files])
            scores[label].append(in_colour(classifier, np.where(pixels == MASKED, np.nan, pixels), 0.2))
    return round(float(roc_auc_score([0] * len(scores[0]) + [1] * len(scores[1]), scores[0] + scores[1])), 3)


def des_in_colour(classifier: Classifier, folder: Path) -> list[float]:
    """Scores of the DES galaxies, their three bands together."""
    cubes = [fits.getdata(folder / f"des_{band}.fits") for band in "gri"]
    return [in_colour(classifier, pixels, GALAXIES["des_g.fits"]) for pixels in np.stack(cubes, axis=1)]


def experts(classifier: Classifier, folder: Path) -> tuple[list[float], dict[str, float]]:
    """Scores of candidates of Space Warps (CFHTLS stamps in colour), and how they go with the grades of experts.

    The stamps are pictures, 30 arcsec across inside a frame, stretched to 8 bits: brightness is not linear there.
    """
    grades, scores = [], []
    for file in sorted(folder.glob("*.png")):
        picture = np.asarray(Image.open(file).convert("RGB"), np.float32)
        dark = (
            np.argwhere((picture.max(2) < 250).mean(0) > 0.5).ravel(),
            np.argwhere((picture.max(2) < 250).mean(1) > 0.5),
        )
        x, y = ((axis.min() + 2, axis.max() - 1) for axis in dark)
        inside = picture[y[0] : y[1], x[0] : x[1], ::-1].transpose(2, 0, 1)  # red is i, blue is g
        grades.append(float(file.name.split("_grade")[1].split("_")[0]))
        scores.append(in_colour(classifier, inside, 30.0 / inside.shape[-1]))
    found = spearmanr(grades, scores)
    return scores, {
        "stamps": len(grades),
        "spearman": round(float(found.statistic), 3),
        "p_value": round(float(found.pvalue), 4),
        "median_score": round(float(np.median(scores)), 4),
    }


def field(folder: Path, pattern: str, bands: str) -> Mosaic:
    files = [folder / pattern.format(band) for band in bands] if "{}" in pattern else [folder / pattern]
    return open_mosaic(files, bands=list(bands) if len(files) > 1 else None)


def ranked(mosaic: Mosaic, model: str, classifier: Classifier) -> tuple[list[Detection], float]:
    """Detections, best first, and the seconds it took."""
    began = time.perf_counter()
    found = [item for step in scan(ScanRequest(mosaic, model=model), classifier) for item in step.items]
    return sorted(found, key=lambda one: -one.score), time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="finder")
    parser.add_argument("--threshold", type=float, help="score whose false positives are counted (of the demo)")
    parser.add_argument("--stamps-only", action="store_true")
    options = parser.parse_args()
    data = Path(os.environ.get("DEEPLENSE_REAL_DATA") or ROOT / "shared" / "data")
    classifier = load_classifier(options.model).quicken()
    line: dict[str, object] = {"benchmark": "real sky", "model": classifier.card.key}
    if classifier.card.bands == ("any",):
        line |= in_one_band(classifier, data)
    candidates, grades = experts(classifier, data / "labelled" / "spacewarps")
    galaxies = des_in_colour(classifier, data / "galaxies")
    line["space_warps"] = grades
    line["in_colour"] = {
        "galaxies": len(galaxies),
        "highest_galaxies": [round(one, 3) for one in sorted(galaxies, reverse=True)[:3]],
        "candidates_against_galaxies_auc": round(
            float(roc_auc_score([0] * len(galaxies) + [1] * len(candidates), galaxies + candidates)), 4
        ),
        "bologna_ground_auc": challenge_in_colour(classifier, data / "labelled" / "bologna"),
    }
    if not options.stamps_only:
        line |= on_fields(classifier, data / "fields", options.model, options.threshold or 0.5)
    print(json.dumps(line))


def in_one_band(classifier: Classifier, data: Path) -> dict[str, object]:
    """Stamps of lenses against stamps of galaxies, each in the bands it has; and those of the challenge."""
    lenses = stamps_of(classifier, sorted(p for p in (data / "stamps").rglob("*") if p.suffix in (".fits", ".h5")), {})
    files = [
        p for p in sorted((data / "galaxies").iterdir()) if ".fits" in p.name and not p.name.startswith(NOT_GALAXIES)
    ]
    galaxies = stamps_of(classifier, files, GALAXIES)
    for title, scores in (("lenses", lenses), ("galaxies", galaxies)):
        print(title)
        for name, score in sorted(scores.items(), key=lambda pair: pair[1] * (1 if title == "lenses" else -1))[:30]:
            print(f"  {score:.4f}  {name}")
    label, score = [1] * len(lenses) + [0] * len(galaxies), [*lenses.values(), *galaxies.values()]
    return {
        "lenses": len(lenses),
        "galaxies": len(galaxies),
        "auc": round(float(roc_auc_score(label, score)), 4),
        "average_precision": round(float(average_precision_score(label, score)), 4),
        "bologna_auc": bologna(classifier, data / "labelled" / "bologna"),
    }


def on_fields(classifier: Classifier, folder: Path, model: str, threshold: float) -> dict[str, object]:
    """The rank of the known lens of a field, and how many sources of a field without any score above a threshold."""
    line: dict[str, object] = {}
    any_band = classifier.card.bands == ("any",)
    for pattern, (x, y, radius) in ARCS.items():
        if any_band or "{}" in pattern:
            found, taken = ranked(field(folder, pattern, "gri"), model, classifier)
            near = [k for k, one in enumerate(found, 1) if np.hypot(one.x - x, one.y - y) <= radius]
            line[pattern.split("_")[0]] = {
                "rank": near[0] if near else None,
                "score": round(found[near[0] - 1].score, 4) if near else None,
                "next": round(max(one.score for k, one in enumerate(found, 1) if k not in near), 4),
                "sources": len(found),
                "seconds": round(taken, 1),
            }
    for pattern, bands in EMPTY.items():
        if any_band or bands == "gri":
            found, taken = ranked(field(folder, pattern, bands), model, classifier)
            above = sum(one.score >= threshold for one in found)
            line[pattern.split("_")[0]] = {
                "above": above,
                "threshold": threshold,
                "sources": len(found),
                "fraction": round(above / max(len(found), 1), 5),
                "seconds": round(taken, 1),
            }
    return line


if __name__ == "__main__":
    main()
