"""Every configuration that comes with the package: it loads, and its head says what it must."""

import shlex

import click
import pytest

from pipeline.config_file import header, load_config, shipped

CONFIGS = shipped()
# The rows of the field that a configuration stands for: its backbone, its task, and what it shows.
EXPECTED = {
    "inceptionv3": ("InceptionV3", "binary"),
    "xception": ("Xception", "binary"),
    "vgg16": ("VGG16", "binary"),
    "vgg19": ("VGG19", "binary"),
    "vgg16-bacteria-virus": ("VGG16", "bacteria_virus"),
    "vgg19-bacteria-virus": ("VGG19", "bacteria_virus"),
    "nclass": ("Xception", "three_class"),
    "resnet50": ("ResNet50", "bacteria_virus"),
    "two-stage": ("Xception", "two_stage"),
    "best": ("Xception", "three_class"),
    "demo": ("InceptionV3", "binary"),
    "locate": ("Xception", "locate"),
    "rsna": ("InceptionV3", "locate"),
}


def test_the_set_is_whole() -> None:
    assert set(CONFIGS) == set(EXPECTED)


@pytest.mark.parametrize("name", CONFIGS)
def test_it_is_what_its_name_says(name: str) -> None:
    config = load_config(name)
    assert config.name == name  # the work folder and the pushed model are called so
    assert (config.model.backbone, config.task.name) == EXPECTED[name]
    assert config.model.weights == "imagenet"
    # Random weights where others were asked for: only the demo, on synthetic images, may go on.
    assert (config.model.on_missing == "random") == (name == "demo")


@pytest.mark.parametrize("name", CONFIGS)
def test_the_head_comment_has_purpose_command_time_and_result(name: str) -> None:
    fields = header(CONFIGS[name])
    assert list(fields) == ["for", "command", "time", "result"]
    assert all(fields.values())


@pytest.mark.parametrize("name", CONFIGS)
def test_the_command_is_one_that_pneumo_understands(name: str) -> None:
    from pipeline.cli import pneumo

    program, verb, *arguments = shlex.split(header(CONFIGS[name])["command"])
    assert program == "pneumo"
    with click.Context(pneumo) as parent:
        command = pneumo.get_command(parent, verb)
        assert command is not None
        parsed = command.make_context(verb, arguments, parent=parent).params
    assert parsed["source"] == name


def test_the_recipe_for_n_classes_takes_the_classes_of_its_comment() -> None:
    given = "data.classes={HEALTHY: [normal], BACTERIAL: [bacteria], VIRAL: [virus]}"
    assert given.removeprefix("data.classes=") in header(CONFIGS["nclass"])["for"]
    config = load_config("nclass", ["data.task=custom", given, "data.positive=[BACTERIAL, VIRAL]"])
    assert config.task.classes == ("HEALTHY", "BACTERIAL", "VIRAL")
    assert config.model.dense == (256, 64)
    assert config.training.fine_tune is not None
