import io
import logging

from core.progress import ProgressReporter
from pipeline.runners.local import NodeResult
from pipeline.runners.progress import RunProgress


def test_plain_lines_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    with RunProgress(out, every=0.0) as show:
        show.print_line("a [bold]plain[/bold] line")
        logging.getLogger("pneumo.progress").setLevel(logging.INFO)
        show.start_node("Trainer", 7, 12)
        step = ProgressReporter(every=0.0)
        step("embed train", 32, 100)
        show.finish_node(NodeResult("Trainer", 3.25, False, 1234.5, {}))
        show.start_node("Pusher", 11, 12)
        show.finish_node(NodeResult("Pusher", 0.0, True, 1234.5, {}))
        with show.ingest_progress() as count:
            count("check", 5, 10)
    lines = out.getvalue().splitlines()
    assert lines[0] == "a [bold]plain[/bold] line"
    assert "embed train 32/100 images" in lines[1]
    assert lines[2].split() == ["7/12", "Trainer", "3.2", "s", "peak", "1,234", "MiB"]
    assert lines[3].split() == ["11/12", "Pusher", "cached", "peak", "1,234", "MiB"]
    assert "check 5/10" in lines[4]
    step("after", 1)  # nobody listens any more
    assert len(out.getvalue().splitlines()) == len(lines)


def test_progress_is_rate_limited_except_for_the_last_item() -> None:
    reported: list[tuple[str, int, int]] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            reported.append(record.pneumo)

    listener = Listener()
    logger = logging.getLogger("pneumo.progress")
    logger.setLevel(logging.INFO)
    logger.addHandler(listener)
    try:
        step = ProgressReporter(every=3600)
        for done in range(1, 6):
            step("x", done, 5)
    finally:
        logger.removeHandler(listener)
    assert reported == [("x", 1, 5), ("x", 5, 5)]
