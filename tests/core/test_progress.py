import logging
import time

import pytest

from core.progress import ProgressReporter


def test_first_report_has_a_rate(caplog: pytest.LogCaptureFixture) -> None:
    progress = ProgressReporter()
    time.sleep(0.01)
    with caplog.at_level(logging.INFO, "pneumo.progress"):
        progress("embed train", 32)
    assert caplog.records[0].args is not None
    step, done, suffix, rate = caplog.records[0].args
    assert (step, done, suffix) == ("embed train", 32, "")
    assert 0 < float(str(rate)) <= 3200


def test_rate_of_a_step_excludes_earlier_steps(caplog: pytest.LogCaptureFixture) -> None:
    progress = ProgressReporter(every=0.0)
    time.sleep(0.2)
    with caplog.at_level(logging.INFO, "pneumo.progress"):
        progress("first", 1)
        time.sleep(0.001)
        progress("second", 1)
    first, second = (float(str(record.args[3])) for record in caplog.records if record.args)
    assert first <= 5 < second


@pytest.mark.parametrize(("every", "lines"), [(0.0, 5), (3600.0, 2)])
def test_final_count_is_always_reported(
    every: float, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    progress = ProgressReporter(every=every)
    with caplog.at_level(logging.INFO, "pneumo.progress"):
        for done in range(1, 6):
            progress("score", done, 5)
    assert len(caplog.records) == lines
    assert "5/5 images" in caplog.records[-1].getMessage()
