import numpy as np
import pytest

from engine.catalogue import LETTERS, NUMBERS, Project, Scheme
from engine.catalogue.consensus import agreement, cohen_kappa, consensus, dawid_skene, fleiss_kappa
from engine.catalogue.queues import QUEUES, queue
from engine.errors import ProjectError
from engine.export.consensus import consensus_table
from tests.engine.catalogue_parts import detection, fill, make_mosaic


def test_fleiss_kappa_of_the_well_known_example():
    """Ten subjects, fourteen raters, five categories."""
    rows = (
        "0 0 0 0 14; 0 2 6 4 2; 0 0 3 5 6; 0 3 9 2 0; 2 2 8 1 1; 7 7 0 0 0; 3 2 6 3 0; 2 5 3 2 2; 6 5 2 1 0; 0 2 2 3 7"
    )
    counts = np.array([[int(count) for count in row.split()] for row in rows.split(";")])
    assert fleiss_kappa(counts) == pytest.approx(0.210, abs=0.0005)


def test_cohen_kappa_is_that_of_scikit_learn():
    from sklearn.metrics import cohen_kappa_score

    random = np.random.default_rng(1)
    first = random.integers(0, 4, 200)
    second = np.where(random.random(200) < 0.6, first, random.integers(0, 4, 200))
    assert cohen_kappa(first, second, 4) == pytest.approx(cohen_kappa_score(first, second))
    assert np.isnan(cohen_kappa([], [], 4))
    assert np.isnan(cohen_kappa([1, 1], [1, 1], 4))  # nobody could have disagreed


def test_dawid_skene_finds_truth_and_confusion_that_votes_were_drawn_from():
    random = np.random.default_rng(3)
    truth = random.choice(3, 600, p=[0.2, 0.3, 0.5])
    matrices = np.array(
        [
            [[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9]],
            [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]],
            [[0.1, 0.45, 0.45], [0.5, 0.25, 0.25], [0.4, 0.3, 0.3]],  # hardly better than chance
            [[0.7, 0.2, 0.1], [0.1, 0.7, 0.2], [0.2, 0.1, 0.7]],
        ]
    )
    candidate, grader = np.repeat(np.arange(600), 4), np.tile(np.arange(4), 600)
    level = np.array([random.choice(3, p=matrices[g, truth[c]]) for c, g in zip(candidate, grader, strict=True)])
    posterior, confusion = dawid_skene(candidate, grader, level, 600, 4, 3)
    assert posterior.sum(1) == pytest.approx(1)
    assert np.abs(confusion - matrices).max() < 0.12
    votes = np.zeros((600, 3))
    np.add.at(votes, (candidate, level), 1)
    right = (posterior.argmax(1) == truth).mean()
    assert right > (votes.argmax(1) == truth).mean()
    assert right > 0.9


def test_mean_scatter_and_posterior_of_a_small_team():
    with Project.temporary() as project:
        fill(project, 0.1, 0.2, 0.3, 0.4)
        for who, grades in {"Ada": "AAX", "Bo": "ACX", "Cy": "BX "}.items():
            for number, grade in enumerate(grades.strip(), 1):
                project.grade(number, grade, grader=who)
        project.grade(4, "A2", grader="Ada")
        found = consensus(project)
        assert found.ids.tolist() == [1, 2, 3, 4]
        assert found.graders.tolist() == [3, 3, 2, 1]
        assert found.mean == pytest.approx([8 / 3, 4 / 3, 0, 3])
        assert found.scatter[:3] == pytest.approx([np.std([3, 3, 2], ddof=1), np.std([3, 1, 0], ddof=1), 0])
        assert np.isnan(found.scatter[3])
        assert found.span.tolist() == [1, 3, 0, 0]
        assert found.posterior.sum(1) == pytest.approx(1)
        assert found.lens[0] > 0.9 > 0.1 > found.lens[2]
        agreed = agreement(project)
        assert agreed.common == 3
        assert [(one.first, one.second, one.common) for one in agreed.pairs] == [
            ("Ada", "Bo", 3), ("Ada", "Cy", 2), ("Bo", "Cy", 2),
        ]  # fmt: skip
        assert project.ids(differ_by=2).tolist() == [2]


def test_nobody_has_graded():
    with Project.temporary() as project:
        fill(project, 0.1)
        assert consensus(project).posterior.shape == (0, 4)
        assert np.isnan(agreement(project).fleiss)


def test_queues_show_what_their_names_say():
    with Project.temporary() as project:
        run = project.start_run(make_mosaic(), "finder-1")
        project.add(run, [detection(100.0 * i, 50, 0.9 - i / 10, spread=i / 20) for i in range(5)])
        project.grade(1, "A", grader="Ada")
        project.grade([1, 2], "X", grader="Bo")
        project.come_back(4, True, grader="Ada")
        project.flag(5, True, grader="Bo")
        shown = {name: project.ids(queue(name, grader="Ada")).tolist() for name in QUEUES}
        assert shown == {
            "ungraded": [2, 3, 4, 5],
            "uncertain": [5, 4, 3],
            "disagreements": [1],
            "few graders": [2, 3, 4, 5],
            "come back": [4],
            "flagged": [5],
        }
        assert project.ids(queue("come back", grader="Bo")).tolist() == []
        with pytest.raises(ProjectError, match="no queue 'best'"):
            queue("best", grader="Ada")


def test_a_disagreement_ends_with_an_agreement_and_begins_again_with_a_new_grade():
    with Project.temporary() as project:
        one, other = fill(project, 0.9, 0.8)
        for grader, grade in (("Ada", "A"), ("Bo", "X")):
            project.grade([one, other], grade, grader=grader)
        assert project.ids(queue("disagreements", grader="Ada")).tolist() == [one, other]
        project.agree(one, "B", grader="Cy")
        told = consensus_table(project, consensus(project))
        assert {row["id"]: row["agreed"] for row in told} == {one: "B (Cy)", other: ""}
        assert project.ids(queue("disagreements", grader="Ada")).tolist() == [other]
        assert project.ids(queue("few graders", grader="Dee", wanted=3)).tolist() == [one, other]
        assert project.ids(queue("few graders", grader="Dee", wanted=2)).tolist() == []
        project.grade(one, "C", grader="Bo")
        assert project.ids(queue("disagreements", grader="Ada")).tolist() == [one, other]


def test_random_order_keeps_its_places_when_others_go():
    with Project.temporary() as project:
        fill(project, *np.linspace(0, 1, 50))
        first = project.ids(order="random", seed=3)
        assert first.tolist() != project.ids(order="random", seed=4).tolist()
        assert sorted(first) == list(range(1, 51))
        project.grade(first[:10].tolist(), "X", grader="Ada")
        assert project.ids(order="random", seed=3, grades={None}).tolist() == first[10:].tolist()


def test_grades_are_sorted_as_their_scheme_has_them():
    with Project.temporary() as project:
        best, middle, worst, none = fill(project, 0.1, 0.2, 0.3, 0.4)
        project.set_scheme(NUMBERS)
        for number, grade in ((best, "3"), (middle, "1"), (worst, "0")):
            project.grade(number, grade, grader="Ada")
        assert project.ids(order="grade", descending=False).tolist() == [best, middle, worst, none]
        assert project.ids(order="grade", descending=True, seen_by="Ada").tolist() == [worst, middle, best, none]


def test_schemes_are_kept_with_the_project(tmp_path):
    with Project.create(tmp_path / "a") as project:
        assert project.scheme() == LETTERS
        own = Scheme(NUMBERS.grades, LETTERS.subclasses[:2])
        assert project.set_scheme(own).kinds == {"settings"}
        path = project.path
    with Project.open(path) as project:
        assert project.scheme() == own
        assert (own.value("2"), own.value("A"), own.value(None)) == (2.0, None, None)
    assert LETTERS.level("A2").name == "A"
    with pytest.raises(ProjectError, match="'arc' cannot be told apart"):
        Scheme(NUMBERS.grades, (*LETTERS.subclasses, LETTERS.subclasses[0]))
    with pytest.raises(ProjectError, match="two grades"):
        Scheme(NUMBERS.grades[:1], ())
