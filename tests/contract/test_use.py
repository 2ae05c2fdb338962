"""`pneumo predict` and the page, on the endpoint under test."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image as Picture

from serving.client import Client, Image
from serving.explained import name_of
from serving.predict import load_model, predict_files
from tests.support.server import Server


@pytest.fixture
def folder(tmp_path: Path, images: list[bytes]) -> Path:
    made = tmp_path / "images"
    made.mkdir()
    for i, content in enumerate(images):
        (made / f"{i}.png").write_bytes(content)
    (made / "cut.png").write_bytes(images[0][: len(images[0]) // 2])
    (made / "empty.png").write_bytes(b"")
    (made / "text.jpeg").write_bytes(b"no image\n")
    return made


def predict(*arguments: Any) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "pipeline.cli", "predict", "--json", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr  # three files are rejected
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def by_rest(server: Server, folder: Path) -> list[dict[str, Any]]:
    return predict("--endpoint", server.rest, "--name", server.name, folder)


def test_rest_and_grpc_say_the_same(
    server: Server, folder: Path, by_rest: list[dict[str, Any]]
) -> None:
    by_grpc = predict("--endpoint", f"grpc://{server.rpc}", "--name", server.name, folder)
    assert by_grpc == by_rest
    assert [Path(one["file"]).name for one in by_rest] == sorted(p.name for p in folder.iterdir())
    rejected = [Path(one["file"]).name for one in by_rest if one["decision"] == "REJECTED"]
    assert rejected == ["cut.png", "empty.png", "text.jpeg"]


def test_the_model_in_this_process_says_the_same(
    request: pytest.FixtureRequest, given: bool, folder: Path, by_rest: list[dict[str, Any]]
) -> None:
    """To the last bit, at the same batch size."""
    if given:
        pytest.skip("the model of a given endpoint is not here")
    assert predict("--model", request.getfixturevalue("small_model"), folder) == by_rest


def test_explain_is_the_same_over_each_protocol_and_in_this_process(
    request: pytest.FixtureRequest, given: bool, server: Server, folder: Path
) -> None:
    """To the last bit, at the same batch size."""
    files = sorted(folder.iterdir())
    found = []
    for address in (server.rest, f"grpc://{server.rpc}"):
        with Client(address, server.name) as client:
            if "explain" not in client.signatures():
                pytest.skip("this endpoint's model explains nothing")
            found.append(list(client.explain(map(Image.of_file, files))))
    assert found[0] == found[1]
    assert [one.heatmap is None for one in found[0]] == [one.error != "" for one in found[0]]
    if not given:
        model = load_model(request.getfixturevalue("small_model"))
        assert list(predict_files(model, files, 16, "explain")) == found[0]
        some = [one for one in found[0] if one.decision == "POSITIVE"]
        assert some
        assert any(one.boxes for one in some)


def test_pictures_with_heat_and_boxes(
    server: Server, folder: Path, by_rest: list[dict[str, Any]], tmp_path: Path
) -> None:
    with Client(server.rest, server.name) as client:
        if "explain" not in client.signatures():
            pytest.skip("this endpoint's model explains nothing")
    out = tmp_path / "out"
    found = predict("--endpoint", server.rest, "--name", server.name, "--explain", out, folder)
    places = ("boxes", "box_scores", "height", "width")
    assert [{k: v for k, v in one.items() if k not in places} for one in found] == [
        {k: v for k, v in one.items() if k not in places} for one in by_rest
    ]
    drawn = sorted(path.name for path in out.iterdir())
    good = [one["file"] for one in by_rest if one["decision"] != "REJECTED"]
    assert drawn == sorted(name_of(file) for file in good)
    for one in found:
        if one["decision"] != "REJECTED":
            with Picture.open(out / name_of(one["file"])) as picture:
                assert picture.width == one["width"]


def test_the_page(
    browser: Any,
    server: Server,
    web: httpx.Client,
    folder: Path,
    by_rest: list[dict[str, Any]],
) -> None:
    if web.get(f"{server.rest}/ui/about.json").status_code != 200:
        pytest.skip("this endpoint serves no page")
    page = browser.new_page()
    page.set_default_timeout(60_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    page.goto(f"{server.rest}/ui/")
    page.set_input_files("#files", sorted(folder.iterdir()))
    page.wait_for_selector(".card")
    page.wait_for_selector(".card.waiting", state="detached")
    headlines = {"POSITIVE": "Positive", "NEGATIVE": "Negative", "REJECTED": "Not read"}
    expected = [
        headlines.get(one["decision"], "Abstained: a person must read it") for one in by_rest
    ]
    assert page.locator(".card .decision").all_inner_texts() == expected
    assert "not a medical device" in page.locator("#notice").inner_text()
    card = page.locator(".card").first
    if card.locator(".explain").is_visible():
        card.locator(".explain").click()
        card.locator(".heat").wait_for()
        heat, image = card.locator(".heat").bounding_box(), card.locator("img").bounding_box()
        for side, value in image.items():
            assert heat[side] == pytest.approx(value, abs=1)
        marked = card.locator(".boxes .over").count()
        assert card.locator(".places li").count() == marked
    assert complaints == []
    page.close()
