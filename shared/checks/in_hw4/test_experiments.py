"""The questions that a minute of training answers: every way trains, and differs by what it says."""

import itertools
import json

import experiments
import pytest
from apps.models import ResNet9
from needle import nn

STEPS = 3


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """A few steps of each way, tested on one batch; the models that were trained."""
    models, fit = [], experiments.fit
    accuracy_of = experiments.accuracy_of

    def fit_shortly(model, opt, batches):
        models.append(model)
        return fit(model, opt, itertools.islice(batches, STEPS))

    monkeypatch.setattr(experiments, "fit", fit_shortly)
    monkeypatch.setattr(
        experiments,
        "accuracy_of",
        lambda model, data: accuracy_of(model, itertools.islice(data, 1)),
    )
    return models


def losses(folder, name):
    """{file: the losses kept there}"""
    return {path.stem: json.loads(path.read_text())["loss"] for path in folder.glob(f"{name}-*")}


@pytest.mark.parametrize("name", experiments.QUESTIONS)
def test_every_way_of_a_question_trains_and_is_kept(name, tmp_path, capsys):
    question = experiments.QUESTIONS[name]
    best = experiments.ask(name, given=1, folder=str(tmp_path))
    said = capsys.readouterr().out
    assert best in question.ways and question.because in said
    kept = losses(tmp_path, name)
    assert len(kept) == len(question.ways)
    assert all(len(values) == STEPS for values in kept.values())
    if name != "dropout":  # its ways differ in the test alone
        assert len({tuple(values) for values in kept.values()}) == len(question.ways)


def test_a_seed_is_a_run_of_its_own(tmp_path):
    runs = []
    for seed in (0, 0, 1):
        experiments.ask("scale", seed=seed, folder=str(tmp_path))
        runs.append(losses(tmp_path, "scale"))
    assert runs[0] == runs[1] != runs[2]


def test_what_a_way_takes_out_is_gone(short):
    experiments.train_images(Residual=experiments.NoResidual)
    experiments.train_images(BatchNorm2d=experiments.NoNorm)
    kinds = [{type(part) for part in experiments.parts_of(model)} for model in short]
    assert nn.Residual not in kinds[0] and nn.BatchNorm2d in kinds[0]
    assert nn.Residual in kinds[1] and nn.BatchNorm2d not in kinds[1]


def test_a_model_without_the_part_cannot_lose_it():
    with pytest.raises(SystemExit, match=r"your model makes no nn\.Dropout"):
        experiments.made(ResNet9, Dropout=experiments.NoNorm)
