import numpy as np
import pytest

from core.reporting.compare.binary_problems import binary_problems
from core.reporting.compare.runs import read_runs
from schema.labels import BACTERIA_VIRUS, BINARY, THREE_CLASS, TWO_STAGE, custom_task
from tests.support.finished_runs import FinishedRuns

VIRUS_FIRST = custom_task({"B": ["bacteria"], "V": ["virus"]}, ["V"])
PNEUMONIA = "bacteria or unknown or virus against normal"
PATHOGEN = "bacteria against virus"


def test_tasks_with_the_same_binary_problem_are_grouped(add_run: FinishedRuns) -> None:
    tasks = {"two": BINARY, "three": THREE_CLASS, "stages": TWO_STAGE, "pair": BACTERIA_VIRUS}
    for i, (name, of) in enumerate(tasks.items()):
        work = add_run(name, of, seed=i)
    runs, _ = read_runs(work)
    first, second = binary_problems(runs)
    assert (first.title, second.title) == (PNEUMONIA, PATHOGEN)
    assert set(first.names) == {"two", "three", "stages"}
    assert first.derived == set()
    assert set(second.names) == {"three", "stages", "pair"}
    assert second.derived == {"three", "stages"}
    for question, n in ((first, 24), (second, 12)):
        for name in question.names:
            score = question.test[name]
            assert len(score) == n
            assert score.sha256.tolist() == question.test[question.names[0]].sha256.tolist()
            assert (score.label == np.isin(score.pathogen, question.positive)).all()
            assert len(question.val[name]) > 0


def test_predictions_are_flipped_to_the_same_positive_side(
    add_run: FinishedRuns,
) -> None:
    add_run("plain", BACTERIA_VIRUS, seed=1)
    work = add_run("turned", VIRUS_FIRST, seed=2, threshold=0.37)
    runs, _ = read_runs(work)
    (question,) = binary_problems(runs)
    assert question.title == PATHOGEN
    own = {run.name: run.test.with_binary_label() for run in runs}["turned"]
    turned = question.test["turned"]
    assert turned.score == pytest.approx(1 - own.score)
    assert (
        (turned.predicted_positive == turned.label) == (own.predicted_positive == own.positive)
    ).all()
    assert ((turned.score >= turned.threshold) == turned.predicted_positive).all()
    plain, own = (
        question.test["plain"],
        {run.name: run.test.with_binary_label() for run in runs}["plain"],
    )
    assert plain.score.tolist() == own.score.tolist()


def test_score_derived_from_two_of_three_classes(add_run: FinishedRuns) -> None:
    runs, _ = read_runs(add_run("three", THREE_CLASS))
    _, question = binary_problems(runs)
    score = question.test["three"]
    p = runs[0].test.where(runs[0].test.label >= 1).probabilities
    assert score.score == pytest.approx(p[:, 1] / (p[:, 1] + p[:, 2]))
    assert score.threshold == 0.5


def test_a_split_with_one_side_has_no_problem(add_run: FinishedRuns) -> None:
    runs, _ = read_runs(add_run("short", n=2))  # the first patient is normal
    assert binary_problems(runs) == []
