"""What catalogues on the network say of a position: SIMBAD, NED, and the lens catalogues of VizieR."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode
from xml.parsers.expat import ExpatError

import numpy as np
import requests
from astropy.coordinates import angular_separation
from astropy.io import votable
from pyvo import dal

from engine.errors import ExchangeError
from engine.exchange import services
from engine.exchange.background import gather
from engine.exchange.network import UNREACHABLE, get, session, trouble
from engine.exchange.services import Catalogue
from engine.types import Step

RADIUS = 5.0  # arcsec
SECONDS = 45.0  # for all answers
_MOST = 50  # rows of a table
_LARGEST = 20_000_000  # bytes of an answer


@dataclass(frozen=True, slots=True)
class OnlineObject:
    """An object of a catalogue: ``separation`` is arcsec from the position asked for, ``reference`` who lists it."""

    service: str
    name: str
    kind: str
    ra: float
    dec: float
    separation: float
    redshift: float | None
    reference: str
    link: str


@dataclass(frozen=True, slots=True)
class OnlineAnswer:
    """What one service says: objects, the nearest first, or why it says nothing."""

    service: str
    objects: tuple[OnlineObject, ...] = ()
    trouble: str = ""


def look_up(ra: float, dec: float, radius: float = RADIUS) -> Iterator[Step]:
    """Ask all catalogues side by side for objects within ``radius`` arcsec; the items are OnlineAnswers as they come.

    Raises
    ------
    ExchangeError : none of them can be reached
    """
    calls = {one.name: partial(_ask, one, ra, dec, radius) for one in services.CATALOGUES}
    troubles = []
    for step in gather(calls, seconds=SECONDS):
        answers = []
        for name, answer in step.items:
            if isinstance(answer, ExchangeError):
                troubles.append(str(answer))
                answers.append(OnlineAnswer(name, trouble=str(answer)))
            else:
                answers.append(OnlineAnswer(name, answer))
        yield Step(step.done, step.total, tuple(answers), step.note)
    if len(troubles) == len(calls) and all(text.endswith(UNREACHABLE) for text in troubles):
        raise ExchangeError(f"No catalogue {UNREACHABLE.replace('cannot', 'can')}")


def _ask(catalogue: Catalogue, ra: float, dec: float, radius: float) -> tuple[OnlineObject, ...]:
    search = _search_tables if catalogue.protocol == "asu" else _search_tap
    try:
        with session() as asked:
            return tuple(sorted(search(catalogue, asked, ra, dec, radius), key=lambda one: one.separation))
    except requests.RequestException as error:
        raise trouble(catalogue.name, error) from error
    except dal.DALAccessError as error:
        cause = getattr(error, "cause", None)
        raise trouble(catalogue.name, cause if isinstance(cause, Exception) else error) from error


def _search_tap(
    catalogue: Catalogue, asked: requests.Session, ra: float, dec: float, radius: float
) -> Iterator[OnlineObject]:
    query = catalogue.query.format(ra=f"{ra:.7f}", dec=f"{dec:.7f}", radius=f"{radius / 3600:.8f}")
    table = dal.TAPService(catalogue.address, session=asked).run_sync(query, maxrec=_MOST).to_table()
    name, *place, kind, redshift, references = catalogue.columns
    missing = {name, *place} - set(table.colnames)
    if missing:
        raise ExchangeError(f"{catalogue.name} answers without {', '.join(sorted(missing))}: it may have changed")
    for row, where in _placed(table, *place):
        count = _number(row, references)
        yield _object(
            catalogue,
            (ra, dec),
            where,
            name=_text(row, name),
            kind=_text(row, kind),
            redshift=_number(row, redshift),
            reference="" if count is None else "1 reference" if count == 1 else f"{count:.0f} references",
        )


def _search_tables(
    catalogue: Catalogue, asked: requests.Session, ra: float, dec: float, radius: float
) -> Iterator[OnlineObject]:
    """VizieR answers with a table for each catalogue that has something there."""
    options = {
        "-kw.Astronomy": services.LENSING, "-c": f"{ra:.7f} {dec:+.7f}", "-c.rs": f"{radius:g}",
        "-out.max": _MOST, "-out.add": "_RAJ,_DEJ", "-oc.form": "dec",
    }  # fmt: skip
    data, _ = get(catalogue.name, f"{catalogue.address}?{urlencode(options)}", most=_LARGEST)
    try:
        document = votable.parse(io.BytesIO(data))
    except (ValueError, IndexError, ExpatError) as error:  # astropy has no error of its own for what is no VOTable
        raise trouble(catalogue.name, error) from error
    for resource in document.resources:
        for one in resource.tables:
            table = one.to_table(use_names_over_ids=True)
            title = (resource.description or one.description or "").strip().splitlines()
            source = f"{resource.name or one.name}: {title[0]}" if title else str(resource.name or one.name)
            named, graded = _named(one, "meta.id"), _graded(table.colnames)
            for row, where in _placed(table, "_RAJ2000", "_DEJ2000"):
                grade = _text(row, graded)
                yield _object(
                    catalogue,
                    (ra, dec),
                    where,
                    name=_text(row, named),
                    kind=f"grade {grade}" if grade else "",
                    redshift=None,
                    reference=source,
                )


def _placed(table: Any, ra: str, dec: str) -> Iterator[tuple[Any, tuple[float, float]]]:
    """The rows that have a position, with it."""
    for row in table:
        place = _number(row, ra), _number(row, dec)
        if place[0] is not None and place[1] is not None:
            yield row, (place[0], place[1])


def _named(table: Any, ucd: str) -> str:
    """The column with the name of an object: the main one by its UCD, or any."""
    fields = [field for field in table.fields if (field.ucd or "").lower().startswith(ucd)]
    main = [field for field in fields if "meta.main" in field.ucd]
    return str((main or fields)[0].name) if fields else ""


def _graded(columns: Sequence[str]) -> str:
    return next((name for name in columns if name.lower() in ("grade", "rank", "qual", "quality", "class")), "")


def _object(
    catalogue: Catalogue, asked: tuple[float, float], place: tuple[float, float], *, name: str, kind: str,
    redshift: float | None, reference: str,
) -> OnlineObject:  # fmt: skip
    separation = float(np.degrees(angular_separation(*np.radians([*asked, *place])))) * 3600
    link = services.Link(catalogue.name, catalogue.link, "").at(*place)
    return OnlineObject(catalogue.name, name, kind, *place, round(separation, 2), redshift, reference, link)


def _text(row: Any, column: str) -> str:
    if not column or column not in row.colnames or np.ma.is_masked(row[column]):
        return ""
    value = row[column]
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip()


def _number(row: Any, column: str) -> float | None:
    text = _text(row, column)
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
