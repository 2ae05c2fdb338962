from pathlib import Path

import pytest
import yaml

from pipeline.config import Config
from pipeline.config_file import load_config
from schema.errors import PneumoError


def test_overrides_win_and_are_typed() -> None:
    config = load_config(
        "demo", ["training.epochs=3", "model.dense=[8, 4]", "training.epochs=5", "model.fit=pad"]
    )
    assert config.training.epochs == 5
    assert config.model.dense == (8, 4)
    assert config.model.fit == "pad"


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("training.epoch=3", "unknown key training.epoch; did you mean epochs?"),
        (
            "evaluation.gate.auc.mim=0.5",
            "did you mean min?",
        ),
        ("training.epochs=0", "training.epochs"),
        ("training.epochs=many", "'many'"),
        ("model.backbone=inceptionv4", "did you mean InceptionV3?"),
        ("data.task=trinary", "did you mean binary?"),
        ("evaluation.threshold=0.5", "operating_point.threshold"),
        ("evaluation.operating_point.threshold=1.5", "1.5"),
        ("evaluation.operating_point.rule=coast", "unknown value 'coast'; did you mean cost?"),
        ("evaluation.gate.auc={}", "gate.auc"),
        ("evaluation.gate.auc={max_drop: 0.1}", "max_drop"),
        ("evaluation.gate.challenge={min: 0.2}", "set data.task: locate"),
        ("model.detector={}", "model.detector needs data.task: locate, and data.task is 'binary'"),
        (
            "model={backbone: VGG16, detector: {levels: [top]}}",
            "be a layer within the backbone",
        ),
        ("model={backbone: VGG16, detector: {levels: []}}", "one or more"),
        ("model={backbone: VGG16, detector: {levels: [a, a]}}", "different layers"),
        ("model={detector: {levels: [mixed7], train_backbone: true}}", "a level above the first"),
        ("model.detector={min_overlap: 1}", "min_overlap"),
        ("data.classes={A: [normal], B: [virus]}", "task: custom"),
        ("data.task=custom", "needs classes"),
        ("data={task: custom, classes: {A: [normal], B: [flu]}, positive: [B]}", "'flu'"),
        ("training.seeds=[]", "seeds must be different"),
        ("training.seeds=[1, 1]", "seeds must be different"),
        ("training.fine_tune={trainable_from: input}", "source: images"),
        ("training.fine_tune={view_size: 160}", "view_size needs source: images"),
        ("training.fine_tune={source: images, view_size: 16}", "fine_tune.view_size"),
        ("training.fine_tune={source: images, view_size: 320}", "320 pixels, more than the 160"),
        ("training.fine_tune={mixup: 0.2}", "fine_tune.mixup needs source: images"),
        ("training.fine_tune={cutmix: 1.0}", "fine_tune.cutmix needs source: images"),
        ("training.fine_tune={source: images, mixup: 0}", "fine_tune.mixup"),
        ("training={embedding: {augment: {flip: true}}}", "no image is augmented"),
        ("training={embedding: {augment: {flip: true}}, fine_tune: {}}", "no image is augmented"),
        ("model.test_time_augmentation={}", "needs training.fine_tune.source: images"),
        ("model.test_time_augmentation={scales: []}", "scales"),
        ("model.test_time_augmentation={scales: [1.5]}", "scales"),
        ("model.test_time_augmentation={scales: [0.9, 0.9]}", "scales must be different"),
        ("model.members=[{backbone: VGG16}]", "two or more networks"),
        ("model.members=[{backbone: Xceptoin}, {backbone: VGG16}]", "did you mean Xception?"),
        ("model.members=[{backbone: VGG16, learn_rate: 0.1}]", "mean learning_rate?"),
        ("model.members=[{backbone: VGG16}, {backbone: VGG19}]", "set it"),
        ("training.distill={teacher: x}", "distill needs fine_tune.source: images"),
        ("training={distill: {teacher: x, weight: 0}, fine_tune: {source: images}}", "weight"),
        ("training.embedding.storage=int8", "storage"),
        ("training.distribution=mirrored", "key training.distribution was removed; the Trainer"),
        ("training.processes=2", "key training.processes was removed"),
        ("deploy.vertex_training={workers: 2}", "key deploy.vertex_training was removed"),
        ("tuner={dropout: [1.0]}", "tuner.dropout.0: Input should be less than 1"),
        ("tuner={dense: [[0]]}", "tuner.dense.0.0"),
        ("training={fine_tune: {}, embedding: {layer: add_9}}", "set fine_tune.trainable_from"),
        ("model.activation=step", "unknown activation"),
        ("tuner.trials=0", "tuner.trials"),
        ("evaluation.gate.roc.min=0.5", "'roc'"),
        ("model.dense=[0]", "positive"),
        ("name=Not A Name", "name"),
        ("name.first=x", "holds a value"),
        ("epochs", "key=value"),
        ("=3", "key=value"),
        ("training.epochs=[", "--set"),
        ("run.records=/x", "run"),
    ],
)
def test_a_wrong_key_or_value_is_one_line(override: str, says: str) -> None:
    with pytest.raises(PneumoError) as caught:
        load_config("demo", [override])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("- a\n- b\n", "mapping"),
        ("name: [", "not YAML"),
        ("model: {backbone: Xception}", "name is missing"),
        ("name: x\nmodell: {}", "unknown key modell"),
        ("name: x\nmodel: 3", "model"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(PneumoError) as caught:
        load_config(str(file))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


MEMBERS = "model.members=[{backbone: VGG16, view_size: 64}, {backbone: Xception, weights: random}]"
IMAGES = "training.fine_tune={source: images}"


def test_members_are_networks_with_the_options_of_the_model() -> None:
    model = load_config("demo", [MEMBERS, IMAGES, "model.dropout=0.4"]).model
    assert model.backbone == "VGG16"
    networks = model.networks()
    assert [one.backbone for one in networks] == ["VGG16", "Xception"]
    assert [one.weights for one in networks] == [model.weights, "random"]
    assert {one.dropout for one in networks} == {0.4}
    single = load_config("demo").model
    assert single.networks() == (single,)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["data.task=locate", MEMBERS], "classification tasks"),
        ([MEMBERS, IMAGES, "tuner={}"], "remove tuner"),
        ([MEMBERS.replace("64", "640"), IMAGES], "model.members.0.view_size is 640 pixels"),
    ],
)
def test_members_that_do_not_fit_are_refused(overrides: list[str], says: str) -> None:
    with pytest.raises(PneumoError, match=says) as caught:
        load_config("demo", overrides)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(PneumoError, match="inceptionv3"):
        load_config("inception")


def test_a_located_task_has_a_detector() -> None:
    config = load_config("demo", ["data.task=locate"])
    assert config.model.detector is not None
    assert config.model.detector.levels == ("default", "top")
    assert yaml.safe_load(config.to_yaml())["model"]["detector"]["channels"] == 128
    given = load_config("demo", ["data.task=locate", "model.detector.channels=32"])
    assert given.model.detector is not None
    assert given.model.detector.channels == 32


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("training.fine_tune={}", "train_backbone"),
        ("training.embedding.layer=mixed7", "embedding.layer"),
    ],
)
def test_a_located_task_refuses_what_is_of_classifiers(override: str, says: str) -> None:
    with pytest.raises(PneumoError, match=says) as caught:
        load_config("demo", ["data.task=locate", override])
    assert "\n" not in str(caught.value)


def test_yaml_round_trip() -> None:
    config = load_config("demo")
    assert Config.model_validate(yaml.safe_load(config.to_yaml())) == config


def test_keys_of_the_previous_release_are_renamed_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "old.yaml"
    file.write_text(
        "name: old\nmodel: {trunk: VGG16}\ntraining: {fine_tune: {from_cut: block5_conv1}}\n"
        "evaluation: {abstain: 0.1}\n"
    )
    config = load_config(str(file))
    assert config.model.backbone == "VGG16"
    assert config.training.fine_tune is not None
    assert config.training.fine_tune.trainable_from == "block5_conv1"
    assert config.evaluation.refer == 0.1
    assert "key model.trunk is now named backbone" in caplog.text
    assert "key evaluation.abstain is now named refer" in caplog.text
    assert "key training.fine_tune.from_cut is now named trainable_from" in caplog.text
    embedded = load_config(str(file), ["training={embedding: {cut: block4_pool}}"])
    assert embedded.training.embedding.layer == "block4_pool"
    assert load_config(str(file), ["evaluation.abstain=0.2"]).evaluation.refer == 0.2
    file.write_text("name: old\nevaluation: {abstain: 0.1, refer: 0.2}\n")
    with pytest.raises(PneumoError, match=r"evaluation\.abstain is now named refer, and both"):
        load_config(str(file))


def test_options_of_ingest_are_added(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("name: c\ndata: {ingest: {class_map: {Krank: unknown, Gesund: other}}}")
    ingest = {"manifest": Path("m.csv"), "on_leak": "fail", "class_map": {"GESUND": "normal"}}
    options = load_config(file, ["data.ingest.on_leak=report"], ingest).data.ingest
    assert options.class_map == {"krank": "unknown", "gesund": "normal"}
    assert (options.manifest, options.on_leak) == (Path("m.csv"), "fail")
    file.write_text("name: c")
    assert load_config(file, ingest={"boxes": "b.csv"}).data.ingest.boxes == Path("b.csv")
    file.write_text("name: c\ndata: {ingest: 3}")
    with pytest.raises(PneumoError, match=r"data\.ingest"):
        load_config(file, ingest=ingest)


@pytest.mark.parametrize(
    "text",
    [
        "data: {ingest: {class_map: {NO: normal}}}",
        "data: {ingest: {class_map: {0: normal}}}",
        "data: {ingest: {class_map: {2024-01-31: normal}}}",
        "data: {task: custom, classes: {off: [normal], 1: [virus]}}",
    ],
)
def test_names_that_yaml_does_not_read_as_text(tmp_path: Path, text: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(f"name: c\n{text}\n")
    with pytest.raises(PneumoError, match=r"YAML reads a key as .*; quote it, as in \"NO\""):
        load_config(str(file))
