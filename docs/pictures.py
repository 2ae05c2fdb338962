"""Takes the pictures of the documentation from finished runs, for `make pictures`.

    python docs/pictures.py --run pneumo_runs/demo --compare pneumo_runs/compare

Writes `report.png` and `page.png` of the run, `boxes.png` of a run with a detector
and `compare.png` of a comparison to docs/images. Needs chromium on the PATH.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright import sync_api

from core.reporting.records import Fields, content, read_fields, text
from pipeline import Run
from schema import features as f
from schema.errors import PneumoError

IMAGES = Path(__file__).parent / "images"
READY = re.compile(r"on (http://\S+) and grpc://")
# A container often has no user namespaces and a small /dev/shm.
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]


def main() -> None:
    """Takes the pictures that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="work folder of a finished run")
    parser.add_argument("--boxes", type=Path, help="work folder of a run with a detector")
    parser.add_argument("--compare", type=Path, help="work folder of pneumo compare")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder of the pictures")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with _browser() as browser:
        if options.run:
            run = Run.open(options.run)
            _first_screen(browser, Path(run.summary["report"]), options.out / "report.png")
            _server_page(browser, run, options.out)
        if options.boxes:
            _boxes(browser, Run.open(options.boxes), options.out)
        if options.compare:
            _first_screen(browser, options.compare / "compare.html", options.out / "compare.png")


def _boxes(browser: sync_api.Browser, run: Run, out: Path) -> None:
    report = Path(run.summary["report"])
    page = _open(browser, report.as_uri(), width=1060, height=800)
    boxes = page.locator("#boxes .boxed")
    if not boxes.count():
        raise PneumoError(f"{report} has no section of boxes; give a run with a detector")
    # One row of figures: the best predictions.
    page.add_style_tag(content="#boxes .boxed figure:nth-child(n+4) { display:none; }")
    boxes.first.screenshot(path=out / "boxes.png")


def _server_page(browser: sync_api.Browser, run: Run, out: Path) -> None:
    """Serves the model of the run and takes the page with the prediction for two test images."""
    files = sorted(Path(run.summary["records"]).glob("test-*.tfrecord"))
    images: dict[str, Fields] = {}
    for fields in read_fields(files):
        # One image of each pathogen, up to two.
        images.setdefault(text(fields, f.PATHOGEN), fields)
        if len(images) == 2:
            break
    uploads = [
        sync_api.FilePayload(
            name=Path(text(fields, f.IMAGE_FILENAME)).name,
            mimeType="image/jpeg",
            buffer=content(fields),
        )
        for fields in images.values()
    ]
    with _served(run) as address:
        page = _open(browser, f"{address}/ui/", width=1100, height=820)
        page.get_by_text("version").first.wait_for()
        page.set_input_files("#files", uploads)
        page.wait_for_selector(".card")
        page.wait_for_selector(".card.waiting", state="detached")
        page.screenshot(path=out / "page.png")


@contextmanager
def _served(run: Run) -> Iterator[str]:
    """Starts `pneumo serve` with the model of the run; yields its address."""
    model = Path(run.summary["pushed"] or run.model_folder)
    with tempfile.TemporaryDirectory() as folder:
        version = model.name if model.name.isdigit() else "1"
        shutil.copytree(model, Path(folder) / version)
        command = [sys.executable, "-m", "pipeline.cli", "serve", "--model-dir", folder, "--ui"]
        command += ["--engine", "builtin", "--rest-port", "0", "--grpc-port", "0"]
        server = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            lines = []
            for line in server.stdout or ():
                lines.append(line)
                if found := READY.search(line):
                    yield found[1]
                    break
            else:
                raise PneumoError(f"the server did not start: {''.join(lines[-3:]).strip()}")
        finally:
            server.terminate()
            server.wait()


@contextmanager
def _browser() -> Iterator[sync_api.Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        raise PneumoError("no chromium on the PATH; install it, e.g. apt-get install chromium")
    with sync_api.sync_playwright() as driver:
        yield driver.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)


def _open(browser: sync_api.Browser, address: str, width: int, height: int) -> sync_api.Page:
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(address)
    return page


def _first_screen(browser: sync_api.Browser, file: Path, picture: Path) -> None:
    page = _open(browser, file.resolve().as_uri(), width=900, height=1200)
    page.screenshot(path=picture)


if __name__ == "__main__":
    try:
        main()
    except PneumoError as error:
        sys.exit(f"pictures: {error}")
