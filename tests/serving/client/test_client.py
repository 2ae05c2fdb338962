import random
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import PneumoError
from serving.client import Client, ClientError, Image
from serving.client.retry import Retry
from tests.support.stand_ins.model_server import CLASSES, StandInServer, row_of

QUICK = Retry(patience=5.0, base=0.01, cap=0.05)
PNG = b"\x89PNG\r\n\x1a\n"


def image(i: int, size: int = 100) -> bytes:
    return PNG + str(i).encode().ljust(size, b".")


def named(contents: list[bytes]) -> list[Image]:
    return [Image(f"{i}.png", lambda c=c: c) for i, c in enumerate(contents)]  # type: ignore[misc]


@pytest.mark.parametrize("batch_size", [1, 3, 16])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_one_prediction_per_image_in_order(
    endpoint: str, batch_size: int, concurrency: int
) -> None:
    contents = [image(i) for i in range(20)]
    with Client(endpoint, batch_size=batch_size, concurrency=concurrency) as client:
        predictions = list(client.predict(named(contents)))
    assert [prediction.file for prediction in predictions] == [f"{i}.png" for i in range(20)]
    for content, prediction in zip(contents, predictions, strict=True):
        row = row_of(content)
        assert prediction.score == row["score"]  # to the last bit, in both protocols
        assert prediction.decision == row["decision"]
        assert prediction.predicted == row["predicted_class"]
        assert prediction.abstained == row["abstained"]
        assert list(prediction.probabilities) == CLASSES
        assert list(prediction.probabilities.values()) == row["probabilities"]
        assert not prediction.error


def test_status_signatures_classes(endpoint: str) -> None:
    with Client(endpoint) as client:
        assert client.status() == {7: "AVAILABLE"}
        assert client.signatures() == {"serving_default": ["probabilities", "score", "status"]}
        assert client.classes() == CLASSES


def test_rejected_images_do_not_affect_others(endpoint: str) -> None:
    def fail(error: Exception) -> bytes:
        raise error

    images = [
        *named([image(0), b"", b"GIF89a" + bytes(100), PNG, image(1)]),
        Image("gone", lambda: fail(FileNotFoundError(2, "No such file or directory"))),
        Image("film", lambda: fail(PneumoError("a DICOM file of 30 frames"))),
    ]
    with Client(endpoint, batch_size=4) as client:
        predictions = list(client.predict(images))
    assert [(prediction.error, prediction.status) for prediction in predictions] == [
        ("", "OK"),
        ("the file is empty", "EMPTY"),
        ("not a JPEG or PNG file", "NOT_JPEG_OR_PNG"),
        ("the file is truncated (no end of image)", "TRUNCATED"),
        ("", "OK"),
        ("cannot be read: No such file or directory", ""),
        ("a DICOM file of 30 frames", ""),
    ]
    rejected = [prediction for prediction in predictions if prediction.error]
    assert {prediction.decision for prediction in rejected} == {"REJECTED"}
    assert all(a.abstained and a.score is None and not a.probabilities for a in rejected)


@pytest.mark.parametrize("fault", [429, 503, "cut"])
def test_transient_errors_are_retried(
    endpoint: str, standin: StandInServer, fault: int | str
) -> None:
    standin.faults.extend([fault, fault, fault])
    with Client(endpoint, retry=QUICK, concurrency=1) as client:
        predictions = list(client.predict(named([image(0)])))
    assert [prediction.error for prediction in predictions] == [""]
    assert standin.attempts == 4


@pytest.mark.parametrize(
    ("fault", "code"), [(404, "NOT_FOUND"), (500, "INTERNAL"), (504, "DEADLINE_EXCEEDED")]
)
def test_permanent_errors_are_not_retried(
    endpoint: str, standin: StandInServer, fault: int, code: str
) -> None:
    standin.faults.append(fault)
    with Client(endpoint, retry=QUICK) as client, pytest.raises(ClientError) as caught:
        list(client.predict(named([image(0)])))
    assert caught.value.code == code
    assert endpoint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert standin.attempts == 1


def test_retries_end(endpoint: str, standin: StandInServer) -> None:
    standin.faults.extend([503] * 400)  # finite: endless retries fail the test instead of hanging
    for patience, least in ((0.3, 4), (0, 1)):
        standin.attempts = 0
        retry = Retry(patience=patience, base=0.01, cap=0.05)
        with Client(endpoint, retry=retry) as client, pytest.raises(ClientError) as caught:
            client.call("serving_default", [image(0)])
        assert caught.value.code == "UNAVAILABLE"
        assert least <= standin.attempts < 1000 * least
        assert patience or standin.attempts == 1


def test_retry_after_is_respected(standin: StandInServer) -> None:
    standin.faults.append(429)
    standin.retry_after = "1"
    start = time.monotonic()
    with Client(standin.rest, retry=QUICK) as client:
        client.call("serving_default", [image(0)])
    assert time.monotonic() - start >= 1.0


def test_predictions_before_a_failure_are_yielded(endpoint: str, standin: StandInServer) -> None:
    received = []
    with Client(endpoint, batch_size=2, concurrency=1, retry=Retry(patience=0)) as client:
        standin.faults.extend([200, 200, 503])
        with pytest.raises(ClientError):
            for prediction in client.predict(named([image(i) for i in range(10)])):
                received.append(prediction.file)
    assert received == ["0.png", "1.png", "2.png", "3.png"]


def test_an_image_that_fails_a_request_is_isolated(endpoint: str, standin: StandInServer) -> None:
    """As with a model without `status`."""
    standin.fails_on = image(5)
    with Client(endpoint, batch_size=8) as client:
        predictions = list(client.predict(named([image(i) for i in range(8)])))
    assert [i for i, prediction in enumerate(predictions) if prediction.error] == [5]
    assert "fault 400" in predictions[5].error
    assert [prediction.file for prediction in predictions] == [f"{i}.png" for i in range(8)]


def test_a_batch_above_the_limit_is_split(endpoint: str, standin: StandInServer) -> None:
    standin.batch_limit = 2500
    contents = [*(image(i, 1000) for i in range(7)), image(7, 3000)]
    with Client(endpoint, batch_size=8, retry=QUICK) as client:
        predictions = list(client.predict(named(contents)))
    assert [bool(prediction.error) for prediction in predictions] == [False] * 7 + [True]
    assert predictions[7].decision == "REJECTED"


def test_bytes_per_request_are_limited(endpoint: str, standin: StandInServer) -> None:
    with Client(endpoint, batch_size=8, batch_bytes=2500, concurrency=1) as client:
        list(client.predict(named([image(i, 1000) for i in range(7)] + [image(7, 5000)])))
    assert standin.calls == [2, 2, 2, 1, 1]


def test_concurrency_is_limited_and_images_are_read_lazily(
    endpoint: str, standin: StandInServer
) -> None:
    standin.delay = 0.02
    taken = 0

    def endless() -> object:
        nonlocal taken
        while True:
            taken += 1
            yield Image(str(taken), lambda: image(1))

    with Client(endpoint, batch_size=2, concurrency=3) as client:
        predictions = client.predict(endless())  # type: ignore[arg-type]
        for _ in range(30):
            next(predictions)
        assert taken <= 30 + 2 * 2 * 3
        predictions.close()  # type: ignore[attr-defined]
    assert standin.busiest == 3


def test_slow_server(endpoint: str, standin: StandInServer) -> None:
    standin.delay = 2.0
    with Client(endpoint, timeout=0.2) as client, pytest.raises(ClientError) as caught:
        client.call("serving_default", [image(0)])
    assert caught.value.code == "DEADLINE_EXCEEDED"
    assert "raise the timeout" in str(caught.value)


def test_unknown_model(endpoint: str) -> None:
    with Client(endpoint, "nothing") as client:
        for method in (client.status, client.classes):
            with pytest.raises(ClientError, match=r"NOT_FOUND.*check the model name"):
                method()


@pytest.mark.parametrize("address", ["localhost:8501", "ftp://host", "", "grpc://h:99999"])
def test_invalid_address(address: str) -> None:
    with pytest.raises(ClientError, match=r"give http://host:8501|BAD_ADDRESS"):
        Client(address)


def test_close_cancels_retries(endpoint: str, standin: StandInServer) -> None:
    standin.faults.extend([503] * 100)
    client = Client(endpoint, retry=Retry(patience=60, base=30, cap=30))
    timer = threading.Timer(0.3, client.close)
    timer.start()
    start = time.monotonic()
    with pytest.raises(ClientError):
        client.call("serving_default", [image(0)])
    assert time.monotonic() - start < 20
    timer.join()


@pytest.mark.parametrize("content", ["<html></html>", "[]", '{"error": "x"}'])
def test_other_http_servers(standin: StandInServer, tmp_path: Path, content: str) -> None:
    (tmp_path / "page.html").write_text(content)
    standin.ui = tmp_path
    client = Client(f"{standin.rest}/ui/page.html?")
    with client, pytest.raises(ClientError, match=r"BAD_ANSWER.*check that this is a model server"):
        client.status()


@given(st.floats(0.01, 1), st.floats(0.01, 60), st.integers(0, 2**32), st.integers(1, 40))
def test_pauses_double_up_to_the_cap(base: float, cap: float, seed: int, count: int) -> None:
    drawn = random.Random(seed)
    pauses = Retry(base=base, cap=cap).pauses(drawn.uniform)
    for i in range(count):
        assert 0 <= next(pauses) <= min(base * 2**i, cap) * (1 + 1e-9)
    highest = Retry(base=base, cap=cap).pauses(max)
    assert [next(highest) for _ in range(count)] == pytest.approx(
        [min(base * 2**i, cap) for i in range(count)]
    )
