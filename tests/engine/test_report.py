"""The report: every candidate is there with its stamps, and text from files or people cannot break the page."""

import base64
import errno
import io
import os
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.catalogue import Project
from engine.errors import DataError
from engine.export.pdf import write_pdf
from engine.export.report import report_job, write_report
from engine.export.views import remarks
from engine.images.mosaic import open_mosaic
from engine.types import Candidate, Mosaic
from tests.engine.catalogue_parts import fill


class Page(HTMLParser):
    """Counts articles, collects pictures and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.articles, self.pictures, self.words = 0, [], []
        self.tags = set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.articles += tag == "article"
        source = dict(attributes).get("src", "")
        if tag == "img" and "svg" not in source:
            self.pictures.append(np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1])))))

    def handle_data(self, data):
        self.words.append(data)


def candidate(number: int, mosaic: Mosaic, x: float, y: float, **more: object) -> Candidate:
    (ra, dec) = mosaic.world(np.array([[x, y]]))[0]
    fields = {"flux": 10.0, "radius": 3.0, "signal_to_noise": 20.0, "score": 0.9, "raw_score": 0.8, "spread": 0.05}
    return Candidate(
        id=number, name=f"DLG J{number}", ra=ra, dec=dec, x=x, y=y, model="m-1", mosaic=mosaic.id, **(fields | more)
    )


def test_each_candidate_has_its_stamps_in_the_page(band_files, synthetic_sky, tmp_path):
    mosaic = open_mosaic(band_files)
    rows = [candidate(k, mosaic, *synthetic_sky[1][k], grade="A" if k else None) for k in range(3)]
    path = write_report(rows, [mosaic], tmp_path)
    page = Page(path.read_text("utf-8"))
    assert page.articles == 3
    assert len(page.pictures) == 9
    colour, brighter, residual = page.pictures[:3]
    assert colour.ndim == 3
    assert residual.ndim == 2
    middle = slice(40, 56)
    assert colour[middle, middle].mean() > 2 * np.median(colour)  # the galaxy is in the middle
    assert brighter.mean() > colour.mean()
    assert "newest grades: A 2" in " ".join(" ".join(page.words).split())


def test_stamps_stand_as_on_the_sky_first_row_at_the_bottom(mosaic_file, synthetic_sky, tmp_path):
    mosaic = open_mosaic(mosaic_file)
    x, y = synthetic_sky[1][10]
    up = candidate(1, mosaic, x, y - 4 / mosaic.pixel_scale)  # the galaxy is 4 arcsec above the middle
    grey = Page(write_report([up], [mosaic], tmp_path).read_text("utf-8")).pictures[0]
    row, _ = np.unravel_index(grey.argmax(), grey.shape)
    assert row == pytest.approx(48 - 24, abs=3)


def test_notes_and_names_are_text_not_markup(mosaic_file, tmp_path):
    mosaic = open_mosaic(mosaic_file)
    row = candidate(1, mosaic, 50, 50, note="<script>alert(1)</script> & <b>", grader="O'Hara")
    text = write_report([row], [mosaic], tmp_path).read_text("utf-8")
    page = Page(text)
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert "alert(1)" in "".join(page.words)


def test_a_candidate_of_a_mosaic_that_is_not_open_is_listed_without_stamps(mosaic_file, tmp_path):
    mosaic = open_mosaic(mosaic_file)
    page = Page(write_report([candidate(1, mosaic, 50, 50)], [], tmp_path).read_text("utf-8"))
    assert page.articles == 1
    assert not page.pictures


def test_a_folder_that_is_not_there_is_said(mosaic_file, tmp_path):
    with pytest.raises(DataError, match="not a folder"):
        write_report([], [open_mosaic(mosaic_file)], tmp_path / "missing")


def test_the_cover_has_plots_and_each_candidate_what_others_said(mosaic_file, tmp_path):
    mosaic = open_mosaic(mosaic_file)
    rows = [candidate(k, mosaic, 50 + 20 * k, 50, grade="AX"[k % 2], einstein_radius=1.5) for k in range(3)]
    beside = {1: ("Ada: A; Bo: X", '2020A lens, 0.3" away: confident')}
    steps = list(report_job(rows, [mosaic], tmp_path / "night.html", remarks=beside))
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    text = (tmp_path / "night.html").read_text("utf-8")
    words = " ".join(" ".join(Page(text).words).split())
    assert "Ada: A; Bo: X" in words
    assert "0.3" in words
    assert "1.50″" in words
    assert "data:image/svg+xml" in text


@pytest.mark.parametrize(("one_a_page", "pages"), [(False, 3), (True, 9)])
def test_a_report_to_print_has_a_cover_and_a_page_for_six_or_for_one(mosaic_file, tmp_path, one_a_page, pages):
    mosaic = open_mosaic(mosaic_file)
    rows = [candidate(k, mosaic, 40 + 20 * k, 50, grade="A") for k in range(8)]
    path = tmp_path / "night.pdf"
    list(report_job(rows, [mosaic], path, one_a_page=one_a_page))
    content = path.read_bytes()
    assert content.startswith(b"%PDF")
    assert content.rstrip().endswith(b"%%EOF")
    assert content.count(b"/Type /Page\n") == pages or f"/Count {pages}".encode() in content


def test_a_report_that_is_cancelled_leaves_nothing(mosaic_file, tmp_path):
    mosaic = open_mosaic(mosaic_file)
    rows = [candidate(k, mosaic, 40 + 20 * k, 50) for k in range(8)]
    job = report_job(rows, [mosaic], tmp_path / "night.pdf")
    for _ in range(9):
        next(job)
    job.close()
    assert {path.suffix for path in tmp_path.iterdir()} <= {".fits"}
    with pytest.raises(DataError, match=r"ends in \.html or \.pdf"):
        next(report_job(rows, [mosaic], tmp_path / "night.doc"))


class Full(io.BytesIO):
    """A file on a disk that has room for so many bytes."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def write(self, content):
        if self.tell() + len(content) > self._room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(content)


@pytest.mark.parametrize("room", [0, 1_000, 3_000, 10_000])
def test_a_full_disk_is_told_as_such_wherever_a_report_is(mosaic_file, tmp_path, monkeypatch, room):
    mosaic = open_mosaic(mosaic_file)
    rows = [candidate(k, mosaic, 40 + 20 * k, 50) for k in range(2)]
    monkeypatch.setattr(Path, "open", lambda *_: Full(room))
    with pytest.raises(OSError, match="No space left"):
        list(write_pdf(tmp_path / "night.pdf", rows, {}, {}, ["a night"]))


def test_what_several_graders_said_and_agreed_on_goes_with_each_candidate():
    project = Project.temporary()
    first, second, third = fill(project, 0.9, 0.8, 0.7)
    for number, grade in ((first, "A"), (second, "A")):
        project.grade(number, grade, grader="Ada")
    project.grade(first, "X", grader="Bo")
    project.agree(first, "B", grader="Bo")
    found = remarks(project, project.rows([first, second, third]))
    scheme = project.scheme()
    mean = (scheme.value("A") + scheme.value("X")) / 2
    assert found[first] == (
        f"Ada: A; Bo: X (mean {mean:.1f}, scatter {scheme.value('A') - mean:.1f})",
        "agreed: B (Bo)",
    )
    assert found[second] == found[third] == ()
