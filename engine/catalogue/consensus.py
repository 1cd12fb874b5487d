"""What several graders say together: mean and scatter, how far they agree, and what is probably true.

The posterior is that of Dawid & Skene (1979, Applied Statistics 28, 20): each grader has a confusion matrix, which is
found along with the true grades by expectation maximisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sqlalchemy import select

from engine.catalogue.queries import fetch
from engine.catalogue.schema import candidates, opinions
from engine.catalogue.scheme import Scheme
from engine.catalogue.store import Project

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Added to each count of a confusion matrix, so that few grades do not make a grader certain.
_PRIOR = 0.5
_ITERATIONS = 500
_CONVERGED = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Consensus:
    """What is said of n candidates that have a grade, in order of id.

    ``mean`` and ``scatter`` (standard deviation, of two graders and more; else NaN) are of the grades' worth, ``span``
    the greatest difference. ``posterior`` (n, grades) has the probability of each true grade, in the order of
    ``grades``; ``lens`` (n,) the sum over those that call it a lens.
    """

    ids: Ints
    graders: Ints
    mean: Floats
    scatter: Floats
    span: Floats
    posterior: Floats
    lens: Floats
    grades: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Cohen's kappa of two graders on the candidates both graded; NaN where it is not defined."""

    first: str
    second: str
    kappa: float
    common: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far graders agree beyond chance: Fleiss' kappa of all (on ``common`` candidates), Cohen's of each two."""

    fleiss: float
    common: int
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Votes:
    """Grades as numbers: candidate, grader and level (m,) of each vote, with what the indices stand for."""

    ids: Ints
    graders: tuple[str, ...]
    candidate: Ints
    grader: Ints
    level: Ints


def consensus(project: Project) -> Consensus:
    """What the graders of a project say together; grades of another scheme are left out, calibration stamps too."""
    scheme = project.scheme()
    votes = _votes(project, scheme)
    n = len(votes.ids)
    worth = np.array([level.value for level in scheme.grades])
    value = worth[votes.level]
    count = np.bincount(votes.candidate, minlength=n)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.bincount(votes.candidate, value, n) / count
        square = np.bincount(votes.candidate, (value - mean[votes.candidate]) ** 2, n)
        scatter = np.where(count > 1, np.sqrt(square / (count - 1)), np.nan)
    high, low = np.full(n, -np.inf), np.full(n, np.inf)
    np.maximum.at(high, votes.candidate, value)
    np.minimum.at(low, votes.candidate, value)
    posterior = dawid_skene(votes.candidate, votes.grader, votes.level, n, len(votes.graders), len(worth))[0]
    is_lens = np.array([level.lens is True for level in scheme.grades])
    names = tuple(level.name for level in scheme.grades)
    return Consensus(votes.ids, count, mean, scatter, high - low, posterior, posterior[:, is_lens].sum(1), names)


def agreement(project: Project) -> Agreement:
    """How far the graders of a project agree."""
    scheme = project.scheme()
    votes = _votes(project, scheme)
    table = np.full((len(votes.ids), len(votes.graders)), -1, np.int64)
    table[votes.candidate, votes.grader] = votes.level
    pairs = []
    for a, b in combinations(range(len(votes.graders)), 2):
        both = table[(table[:, a] >= 0) & (table[:, b] >= 0)]
        kappa = cohen_kappa(both[:, a], both[:, b], len(scheme.grades))
        pairs.append(Pair(votes.graders[a], votes.graders[b], kappa, len(both)))
    counts = np.stack([(table == level).sum(1) for level in range(len(scheme.grades))], axis=1)
    counts = counts[counts.sum(1) > 1]
    return Agreement(fleiss_kappa(counts), len(counts), tuple(pairs))


def _votes(project: Project, scheme: Scheme) -> _Votes:
    level_of = {level.name: number for number, level in enumerate(scheme.grades)}
    query = (
        select(opinions.c.candidate, opinions.c.grader, opinions.c.grade)
        .join(candidates, candidates.c.id == opinions.c.candidate)
        .where(opinions.c.grade.is_not(None), candidates.c.kind == "")
        .order_by(opinions.c.candidate, opinions.c.grader)
    )
    with project.reading() as connection:
        rows = fetch(connection, query)
    levels = [scheme.level(grade) for _, _, grade in rows]
    kept = [(row[0], row[1], level_of[level.name]) for row, level in zip(rows, levels, strict=True) if level]
    ids, candidate = np.unique(np.array([row[0] for row in kept], np.int64), return_inverse=True)
    names = sorted({row[1] for row in kept})
    grader = np.array([names.index(row[1]) for row in kept], np.int64)
    return _Votes(ids, tuple(names), candidate, grader, np.array([row[2] for row in kept], np.int64))


def dawid_skene(
    candidate: Ints, grader: Ints, level: Ints, candidates: int, graders: int, levels: int
) -> tuple[Floats, Floats]:
    """True levels of candidates and confusion matrices of graders from votes (m,), by expectation maximisation.

    Begins with the share of votes for each level, and stops when no probability moves by more than 1e-8.

    Returns
    -------
    posterior (candidates, levels) and confusion (graders, true level, level given), each row summing to 1
    """
    posterior = np.zeros((candidates, levels))
    if not len(candidate):
        return posterior, np.full((graders, levels, levels), 1 / levels)
    np.add.at(posterior, (candidate, level), 1.0)
    posterior /= posterior.sum(1, keepdims=True)
    confusion = np.empty((graders, levels, levels))
    for _ in range(_ITERATIONS):
        counts = np.full((graders, levels, levels), _PRIOR / levels)
        for given in range(levels):
            votes = level == given
            np.add.at(counts[:, :, given], grader[votes], posterior[candidate[votes]])
        confusion = counts / counts.sum(2, keepdims=True)
        share = (posterior.sum(0) + _PRIOR / levels) / (candidates + _PRIOR)
        logarithm = np.tile(np.log(share), (candidates, 1))
        np.add.at(logarithm, candidate, np.log(confusion[grader, :, level]))
        before, posterior = posterior, np.exp(logarithm - logsumexp(logarithm, axis=1, keepdims=True))
        if np.abs(posterior - before).max() < _CONVERGED:
            break
    return posterior, confusion


def fleiss_kappa(counts: NDArray[np.int64]) -> float:
    """Fleiss' kappa (1971, Psychological Bulletin 76, 378) of (n, levels) counts of votes, two or more in each row.

    Rows may have different numbers of votes: each counts alike in the observed agreement, each vote in the expected.
    """
    if not len(counts):
        return float("nan")
    votes = counts.sum(1)
    observed = float(np.mean((counts * (counts - 1)).sum(1) / (votes * (votes - 1))))
    expected = float(((counts.sum(0) / votes.sum()) ** 2).sum())
    return (observed - expected) / (1 - expected) if expected < 1 else float("nan")


def cohen_kappa(first: Sequence[int] | Ints, second: Sequence[int] | Ints, levels: int) -> float:
    """Cohen's kappa (1960, Educational and Psychological Measurement 20, 37) of two graders' levels."""
    if not len(first):
        return float("nan")
    table = np.zeros((levels, levels))
    np.add.at(table, (np.asarray(first), np.asarray(second)), 1 / len(first))
    expected = float(table.sum(0) @ table.sum(1))
    return (float(np.trace(table)) - expected) / (1 - expected) if expected < 1 else float("nan")
