"""`pneumo predict` and the page, on the endpoint under test."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image as Picture

from serving.client import Client, Image
from serving.predict.heatmap_images import image_name
from tests.support.runs import cli
from tests.support.serving.server import Server


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
    done = cli.pneumo("predict", "--json", *arguments)
    assert done.returncode == 1, done.stderr  # three files are rejected
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_predictions_are_the_same_over_each_protocol_and_in_this_process(
    request: pytest.FixtureRequest, given: bool, server: Server, folder: Path
) -> None:
    """To the last bit, at the same batch size."""
    found = predict("--endpoint", server.rest, "--name", server.name, folder)
    assert [Path(one["file"]).name for one in found] == sorted(p.name for p in folder.iterdir())
    rejected = [Path(one["file"]).name for one in found if one["decision"] == "REJECTED"]
    assert rejected == ["cut.png", "empty.png", "text.jpeg"]
    assert predict("--endpoint", f"grpc://{server.rpc}", "--name", server.name, folder) == found
    if not given:
        assert predict("--model", request.getfixturevalue("small_model"), folder) == found


def test_pictures_with_heat_and_boxes(server: Server, folder: Path, tmp_path: Path) -> None:
    with Client(server.rest, server.name) as client:
        if "explain" not in client.signatures():
            pytest.skip("this endpoint's model explains nothing")
    out = tmp_path / "out"
    found = predict("--endpoint", server.rest, "--name", server.name, "--explain", out, folder)
    good = [one for one in found if one["decision"] != "REJECTED"]
    assert any(one["boxes"] for one in good)
    assert sorted(p.name for p in out.iterdir()) == sorted(image_name(one["file"]) for one in good)
    for one in good:
        with Picture.open(out / image_name(one["file"])) as picture:
            assert picture.width == one["width"]


def test_the_page(
    browser: Any,
    server: Server,
    web: httpx.Client,
    folder: Path,
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
    headlines = {"POSITIVE": "Positive", "NEGATIVE": "Negative", "REJECTED": "Rejected"}
    with Client(server.rest, server.name) as client:
        answers = list(client.predict(map(Image.of_file, sorted(folder.iterdir()))))
    expected = [headlines.get(one.decision, "Abstained: a person must read it") for one in answers]
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
