"""Content of a report before it becomes DICOM: decision, score and boxes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.predict.prediction import Prediction

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True)
class Region:
    """A box on the displayed image.

    Attributes:
      box: ymin, xmin, ymax, xmax in pixels of the displayed image; 0 is the outer edge of the first
        pixel.
      score: 0 to 1.
    """

    box: tuple[float, float, float, float]
    score: float


@dataclass(frozen=True)
class ReportContent:
    """The prediction for one image, as reported.

    Attributes:
      decision: POSITIVE, NEGATIVE or REFER.
      score: calibrated probability of the finding; None if the image is no radiograph.
      regions: boxes, best first; empty if the finding is absent.
      displayed: height and width of the displayed image, pixels, to which the boxes refer; None
        without boxes.
      problem: why there is no score.
    """

    decision: str
    score: float | None
    regions: tuple[Region, ...] = ()
    displayed: tuple[int, int] | None = None
    problem: str = ""


def report_content(prediction: Prediction) -> ReportContent:
    """Returns the content of the report for a prediction.

    Boxes are reported only if the finding is present or undetermined: the heat map of a healthy
    image also has a maximum.
    """
    size = (prediction.height, prediction.width) if prediction.height and prediction.width else None
    regions: tuple[Region, ...] = ()
    if size and prediction.decision != "NEGATIVE":
        pairs = zip(prediction.boxes or [], prediction.box_scores or [], strict=True)
        regions = tuple(Region((b[0], b[1], b[2], b[3]), score) for b, score in pairs)
    displayed = size if regions else None
    problem = "" if prediction.score is not None else prediction.reason
    return ReportContent(prediction.decision, prediction.score, regions, displayed, problem)


def stored_boxes(
    source: "Dataset", content: ReportContent
) -> list[tuple[float, float, float, float]]:
    """Converts boxes to coordinates of the stored pixels, clipped; all zeros without area.

    Displayed and stored images differ if pixels are not square: the displayed one was resampled.

    Returns:
      (ymin, xmin, ymax, xmax) in the coordinates of PS3.3 C.18.6.1.2: the outer corner of the
      first pixel is 0, 0.
    """
    if not content.regions:
        return []
    if content.displayed is None or min(content.displayed) < 1:
        raise ValueError("boxes need the size of the displayed image")
    rows, columns = int(source.Rows), int(source.Columns)
    down, across = rows / content.displayed[0], columns / content.displayed[1]
    boxes = []
    for region in content.regions:
        y0, x0, y1, x1 = region.box
        y0, y1 = (min(max(y * down, 0.0), rows) for y in (y0, y1))
        x0, x1 = (min(max(x * across, 0.0), columns) for x in (x0, x1))
        boxes.append((y0, x0, y1, x1) if y1 > y0 and x1 > x0 else (0.0, 0.0, 0.0, 0.0))
    return boxes
