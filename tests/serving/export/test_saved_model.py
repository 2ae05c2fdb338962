import json

import numpy as np
import tensorflow as tf

from core.images.decode_tf import decode_gray
from core.images.resize_tf import from_png, resize_gray
from schema import features as f
from schema.labels import BACTERIA_VIRUS, LOCATE, PATHOGENS
from tests.support import records
from tests.support.models.exported import (
    BAND,
    SIZE,
    TEMPERATURE,
    THRESHOLD,
    Exported,
    eager,
    softmax,
)


def test_pixels_are_equal_everywhere(fitted: Exported) -> None:
    """Eager = tf.data = what Transform wrote = the SavedModel's own transform, to the last bit."""
    expected = eager(fitted)
    dataset = tf.data.Dataset.from_tensor_slices(fitted.contents).map(
        lambda content: resize_gray(decode_gray(content), SIZE, fitted.fit)
    )
    np.testing.assert_array_equal(np.stack(list(dataset.as_numpy_iterator())), expected)

    by_id = {row[f.IMAGE_SHA256][0]: row[f.IMAGE_PNG][0] for row in fitted.transformed}
    assert len(by_id) == len(fitted.contents)
    loaded = tf.saved_model.load(str(fitted.folder))
    transformed = loaded.signatures["transform_features"](tf.constant(fitted.examples))
    ids = transformed[f.IMAGE_SHA256].numpy()
    materialised = from_png(tf.constant([by_id[i] for i in ids]), SIZE)
    np.testing.assert_array_equal(materialised.numpy(), expected)
    np.testing.assert_array_equal(from_png(transformed[f.IMAGE_PNG], SIZE).numpy(), expected)


def test_both_doors_give_what_the_network_gives_on_those_pixels(fitted: Exported) -> None:
    logits = fitted.network(tf.cast(eager(fitted), tf.float32), training=False)
    members = softmax(np.asarray(logits, np.float64))
    raw = members.mean(axis=1)
    expected = softmax(np.log(raw) / TEMPERATURE)
    loaded = tf.saved_model.load(str(fitted.folder))
    served = loaded.signatures["serving_default"](image_bytes=tf.constant(fitted.contents))
    scored = loaded.signatures["examples"](tf.constant(fitted.examples))
    np.testing.assert_allclose(served["probabilities"].numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(scored["raw"].numpy(), raw, atol=1e-6)
    np.testing.assert_allclose(
        scored["members"].numpy(), members.reshape(len(members), -1), atol=1e-6
    )
    np.testing.assert_array_equal(served["probabilities"], scored["probabilities"])
    np.testing.assert_array_equal(served["score"], scored["score"])
    np.testing.assert_allclose(served["score"], expected[:, 1] + expected[:, 2], atol=1e-6)


def test_names_and_decision(exported: Exported) -> None:
    """The class is the likeliest on the side of the operating point that the score is on."""
    loaded = tf.saved_model.load(str(exported.folder))
    served = loaded.signatures["serving_default"](image_bytes=tf.constant(exported.contents))
    assert (served["classes"].numpy() == [b"NORMAL", b"BACTERIA", b"VIRUS"]).all()
    probabilities, score = served["probabilities"].numpy(), served["score"].numpy()
    pathogen = np.where(probabilities[:, 1] >= probabilities[:, 2], b"BACTERIA", b"VIRUS")
    expected = np.where(score >= THRESHOLD, pathogen, b"NORMAL")
    np.testing.assert_array_equal(served["predicted_class"].numpy(), expected)
    called = np.where(score >= THRESHOLD, b"POSITIVE", b"NEGATIVE")
    band = (score >= BAND[0]) & (score < BAND[1])
    np.testing.assert_array_equal(served["decision"].numpy(), np.where(band, b"REFER", called))
    np.testing.assert_array_equal(served["abstained"].numpy(), band)
    assert (served["status"].numpy() == b"OK").all()


def test_a_rejected_image_changes_no_bit_of_its_neighbours(exported: Exported) -> None:
    loaded = tf.saved_model.load(str(exported.folder))
    bad = [b"", b"text", exported.contents[0][:-20], exported.contents[6][:-20]]
    places = [0, 3, 4, 9]
    contents = list(exported.contents)
    for place, content in zip(places, bad, strict=True):
        contents[place] = content
    others = [i for i in range(len(contents)) if i not in places]
    for signature in ("serving_default", "embed", "explain"):
        serve = loaded.signatures[signature]
        mixed = serve(image_bytes=tf.constant(contents))
        clean = serve(image_bytes=tf.constant(exported.contents))
        for key, values in mixed.items():
            np.testing.assert_array_equal(values.numpy()[others], clean[key].numpy()[others])
        status = [text.decode() for text in mixed["status"].numpy()[places]]
        assert status == ["EMPTY", "NOT_JPEG_OR_PNG", "TRUNCATED", "TRUNCATED"]
        has_reason = mixed["reason"].numpy() != b""
        assert np.flatnonzero(has_reason).tolist() == places
    rejected = {
        k: v.numpy()[places]
        for k, v in loaded.signatures["serving_default"](image_bytes=tf.constant(contents)).items()
    }
    assert (rejected["probabilities"] == -1).all()
    assert (rejected["score"] == -1).all()
    assert (rejected["decision"] == b"REJECTED").all()
    assert rejected["abstained"].all()
    assert (rejected["predicted_class"] == b"").all()
    assert (rejected["classes"] == [b"NORMAL", b"BACTERIA", b"VIRUS"]).all()
    embedding = loaded.signatures["embed"](image_bytes=tf.constant(contents))["embedding"]
    assert (embedding.numpy()[places] == 0).all()
    explained = loaded.signatures["explain"](image_bytes=tf.constant(contents))
    for key in ("heatmap", "boxes", "image_height", "image_width"):
        assert (explained[key].numpy()[places] == 0).all(), key
        assert (explained[key].numpy()[others] != 0).any(), key
    assert (explained["box_scores"].numpy()[places] == -1).all()


def test_embedding_is_what_the_heads_see(exported: Exported) -> None:
    expected = exported.backbone(tf.cast(eager(exported), tf.float32), training=False)
    loaded = tf.saved_model.load(str(exported.folder))
    outputs = loaded.signatures["embed"](image_bytes=tf.constant(exported.contents))
    np.testing.assert_allclose(outputs["embedding"], expected, atol=1e-6)
    assert outputs["embedding"].shape == (len(exported.contents), 4)


# Whatever a model server is built of, it has these: no Python, no custom op, nothing of tf.text.
FOREIGN = {"PyFunc", "EagerPyFunc", "PyFuncStateless", "XlaLaunch", "MlirPassthroughOp"}


def test_only_kernels_that_every_server_has(exported: Exported) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((exported.folder / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    used = {node.op for function in graph.library.function for node in function.node_def}
    used |= {node.op for node in graph.node}
    names = {function.signature.name for function in graph.library.function}
    assert not used & FOREIGN
    core = {name for name in dir(tf.raw_ops) if not name.startswith("_")}
    assert used - names - core <= {"_Retval", "_Arg"}


def test_decision_at_its_edges() -> None:
    from core.models.decision_rule import DecisionRule, decide

    values = tf.constant([0.0, 0.3, 0.5, 0.66, 0.7, 1.0])
    plain = decide(values, DecisionRule(1.0, 0.66)).numpy().tolist()
    assert plain == [b"NEGATIVE"] * 3 + [b"POSITIVE"] * 3
    banded = decide(values, DecisionRule(1.0, 0.66, (0.5, 0.7))).numpy().tolist()
    assert banded == [b"NEGATIVE"] * 2 + [b"REFER"] * 2 + [b"POSITIVE"] * 2


def test_labels(exported: Exported) -> None:
    loaded = tf.saved_model.load(str(exported.folder))
    outputs = loaded.signatures["labels"](tf.constant(exported.examples))
    labels = outputs[f.LABEL].numpy()
    names = [PATHOGENS[i % len(PATHOGENS)] for i in range(len(labels))]
    np.testing.assert_array_equal(labels, [int(name not in ("normal", "other")) for name in names])
    # Neither bacteria nor virus nor normal: no place in three classes.
    np.testing.assert_array_equal(outputs[f.WEIGHT].numpy(), [name != "other" for name in names])


def test_images_without_a_place_in_the_task_weigh_nothing() -> None:
    from serving.export.signatures import positive_label

    names = ("normal", "bacteria", "virus", "unknown")
    given = tf.constant([records.example({f.PATHOGEN: name}) for name in names])
    assert positive_label(given, BACTERIA_VIRUS).numpy().tolist() == [-1, 1, 0, -1]


def test_a_located_task_is_positive_where_a_box_is() -> None:
    from serving.export.signatures import positive_label

    boxes = [{f.BOX_YMIN: (0.5,)}, {f.BOX_YMIN: ()}, {}, {f.BOX_YMIN: (0.0, 0.25)}]
    given = tf.constant([records.example({f.PATHOGEN: "unknown", **of}) for of in boxes])
    assert positive_label(given, LOCATE).numpy().tolist() == [1, 0, 0, 1]


def test_facts_travel_with_the_model(fitted: Exported) -> None:
    facts = json.loads((fitted.folder / "assets.extra" / "pneumo.json").read_text())
    promised = "classes threshold temperature band image_size fit limits positive task seeds"
    assert facts.keys() >= set(promised.split())
    assert "not a medical device" in facts["notice"]
    assert facts["fit"] == fitted.fit
    assert facts["limits"]["min_side"] == 1
