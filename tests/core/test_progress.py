"""Lines of progress."""

import logging
import time

import pytest

from core.progress import ProgressReporter


def test_the_first_line_has_a_rate(caplog: pytest.LogCaptureFixture) -> None:
    step = ProgressReporter()
    time.sleep(0.01)
    with caplog.at_level(logging.INFO, "pneumo.progress"):
        step("embed train", 32)
    assert caplog.records[0].args is not None
    what, done, of, rate = caplog.records[0].args
    assert (what, done, of) == ("embed train", 32, "")
    assert 0 < float(str(rate)) <= 3200


def test_a_later_step_is_not_charged_for_an_earlier_one(caplog: pytest.LogCaptureFixture) -> None:
    step = ProgressReporter(every=0.0)
    time.sleep(0.2)
    with caplog.at_level(logging.INFO, "pneumo.progress"):
        step("first", 1)
        time.sleep(0.001)
        step("second", 1)
    first, second = (float(str(record.args[3])) for record in caplog.records if record.args)
    assert first <= 5 < second


@pytest.mark.parametrize(("every", "lines"), [(0.0, 5), (3600.0, 2)])
def test_the_last_of_a_known_number_is_always_told(
    every: float, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    step = ProgressReporter(every=every)
    with caplog.at_level(logging.INFO, "pneumo.progress"):
        for done in range(1, 6):
            step("score", done, 5)
    assert len(caplog.records) == lines
    assert "5/5 images" in caplog.records[-1].getMessage()
