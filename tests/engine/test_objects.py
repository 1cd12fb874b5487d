"""A lens of several sources is one candidate: its best."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.detect.objects import SAME_OBJECT, Objects
from engine.detect.scan import scan
from engine.detect.scoring import PROMISING
from engine.types import Detection, ScanRequest
from tests.engine.sky_parts import CARD, Brightness, gaussians, mosaic_of, noise

MOSAIC = mosaic_of(np.zeros((600, 400), np.float32), pixel_scale=0.5)
RADIUS = SAME_OBJECT / 0.5  # pixels
CORE = (0, 300, 0, 400)
BELOW = (300, 600, 0, 400)


def detection(x: float, y: float, score: float) -> Detection:
    return Detection(x, y, None, None, 1.0, 1.0, 10.0, score, score, 0.0, "model")


def test_the_images_of_a_lens_are_one_candidate() -> None:
    objects = Objects(MOSAIC, CARD)
    galaxy, arc, counter_image = detection(100, 100, 0.7), detection(104, 100, 0.9), detection(96, 101, 0.3)
    other, faint = detection(104 + RADIUS + 1, 100, 0.5), detection(101, 101, PROMISING / 2)
    assert objects.hold([galaxy, arc, faint]) == (faint,)  # what is not promising need not wait
    assert objects.hold([counter_image, other]) == ()
    # The counter-image is further from the arc than one object reaches, but the galaxy between them is not a candidate.
    assert objects.release(CORE) == (arc, other, counter_image)


def test_a_neighbouring_tile_does_not_bring_it_again() -> None:
    objects = Objects(MOSAIC, CARD)
    seen = detection(200, 298, 0.6)
    objects.hold([seen])
    assert objects.release(CORE) == (seen,)
    objects.hold([detection(201, 302, 0.5), detection(50, 302, 0.4)])
    assert [(one.x, one.score) for one in objects.release(BELOW)] == [(50, 0.4)]


def test_a_better_one_across_a_border_is_shown() -> None:
    objects = Objects(MOSAIC, CARD)
    objects.hold([detection(200, 298, 0.6)])
    objects.release(CORE)
    objects.hold([better := detection(201, 302, 0.8)])
    assert objects.release(BELOW) == (better,)


@given(st.lists(st.tuples(st.floats(0, 400), st.floats(0, 300), st.floats(PROMISING, 1)), max_size=30))
def test_what_is_dropped_has_a_better_one_beside_it(drawn: list[tuple[float, float, float]]) -> None:
    objects = Objects(MOSAIC, CARD)
    every = [detection(*one) for one in drawn]
    objects.hold(every)
    kept = objects.release(CORE)
    xy = np.array([(one.x, one.y) for one in kept]).reshape(-1, 2)
    assert [one.score for one in kept] == sorted((one.score for one in kept), reverse=True)
    for one in every:
        apart = np.hypot(*(xy - (one.x, one.y)).T)
        assert one in kept or any(apart[k] <= RADIUS and kept[k].score >= one.score for k in range(len(kept)))
    for index in range(len(kept)):
        assert (np.hypot(*(xy[:index] - xy[index]).T) > RADIUS).all()


def test_a_scan_lists_a_lens_once() -> None:
    xy, peaks = np.array([[80.0, 100.0], [80.0, 112.0], [200.0, 100.0]]), np.array([600.0, 900.0, 500.0])
    mosaic = mosaic_of(gaussians(noise((240, 300)), xy, peaks))  # 12 pixels of 0.2" apart
    steps = list(scan(ScanRequest(mosaic, threshold=3.0), Brightness()))
    found = [(round(item.x), round(item.y)) for step in steps for item in step.items]
    assert found == [(80, 112), (200, 100)]
    assert steps[-1].note == "3 sources, 2 candidates"
