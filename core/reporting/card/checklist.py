"""Checklist items of CLAIM 2024 (Tejani et al., Radiol. Artif. Intell. 2024;6:e240300) and
TRIPOD+AI (Collins et al., BMJ 2024;385:e078378); the questions are in our own words.

The answers are macros of `templates/card_answers.txt.j2` with the id of the item.
"""

# ruff: noqa: E501 (a row of the table is a line)

from typing import Any, Final, NamedTuple

from core.reporting.card.run_files import RunFiles
from core.reporting.rendering import environment

UNKNOWN: Final = "unknown"
SOFTWARE: Final = "the software"  # holds for every model of this pipeline
CARD: Final = "card"  # only the configuration may answer, under `card`


class ChecklistItem(NamedTuple):
    """A row of the table.

    Attributes:
      id: short name; of the macro with the answer and, if `option`, of the configuration key.
      claim: numbers in CLAIM 2024, as "9" or "37, 38"; empty: none.
      tripod: numbers in TRIPOD+AI.
      text: the question.
      origin: files of the run that the answer is from.
      option: whether the configuration may answer, under `card`.
    """

    id: str
    claim: str
    tripod: str
    text: str
    origin: str = CARD
    option: bool = True


# fmt: off
CHECKLIST: Final[dict[str, tuple[ChecklistItem, ...]]] = {
    "General": (
        ChecklistItem("kind", "1", "1", "What kind of model is it?", "training.json", False),
        ChecklistItem("summary", "2", "2", "What was done and found, in one sentence?", "report.json", False),
        ChecklistItem("intended_use", "3, 41", "3a", "What is the intended use and clinical role?"),
        ChecklistItem("population", "", "3b", "For which patients and users is it?"),
        ChecklistItem("out_of_scope", "", "", "What must it not be used for?"),
        ChecklistItem("goal", "4, 6", "4", "What was the aim?", "configuration: data.task", False),
        ChecklistItem("contact", "", "", "Who is responsible for it?"),
    ),
    "Data": (
        ChecklistItem("design", "5", "", "Was the study prospective or retrospective?"),
        ChecklistItem("data_source", "7", "5a", "Where do the images come from?", "dataset.json"),
        ChecklistItem("dates", "", "5b", "When were they taken?"),
        ChecklistItem("setting", "", "6a", "In which hospitals and countries?"),
        ChecklistItem("eligibility", "8", "6b", "Who was included when the data were collected?"),
        ChecklistItem("treatments", "", "6c", "Which treatments had been given?"),
        ChecklistItem("acquisition", "13", "", "With which devices and protocol?"),
        ChecklistItem("preprocessing", "9", "7, 12b", "How were the images preprocessed?", "training.json", False),
        ChecklistItem("predictors", "", "9a, 9b, 9c", "What is the input of the model?", SOFTWARE, False),
        ChecklistItem("subsets", "10", "", "Which part of the data was used?", "dataset.json", False),
        ChecklistItem("de_identification", "11", "", "How were the data de-identified?"),
        ChecklistItem("missing", "12", "11", "How were missing data handled?", "dataset.json", False),
        ChecklistItem("flow", "35", "20a", "How many were included and excluded?", "dataset.json", False),
        ChecklistItem("composition", "", "21", "Which classes are in each split?", "dataset.json", False),
        ChecklistItem("demographics", "36", "20b", "What are age, sex and clinical traits of each split?"),
    ),
    "Reference standard": (
        ChecklistItem("reference_standard", "14", "8a", "What is the reference standard?"),
        ChecklistItem("reference_reason", "15", "", "Why this reference standard?"),
        ChecklistItem("readers", "16", "8b", "Who labelled, with which experience?"),
        ChecklistItem("test_labels", "17", "", "How was the test split labelled?"),
        ChecklistItem("agreement", "18", "", "How well did readers agree?"),
        ChecklistItem("blinding", "", "8c", "What did readers know when they labelled?"),
    ),
    "Splits": (
        ChecklistItem("assignment", "19", "12a", "How were the splits made?", "dataset.json", False),
        ChecklistItem("disjoint", "20", "", "How are the splits kept disjoint?", "leakage.json", False),
        ChecklistItem("sample_size", "21", "10", "How was the sample size chosen?", "dataset.json", False),
        ChecklistItem("imbalance", "", "13", "How was class imbalance handled?", "training.json", False),
        ChecklistItem("differences", "", "16, 20c", "How do training and evaluation data differ?", "dataset.json, report.json", False),
    ),
    "Model": (
        ChecklistItem("description", "22", "12c, 22", "What is the architecture?", "training.json", False),
        ChecklistItem("software", "23", "", "Which software, in which versions?", "report.json", False),
        ChecklistItem("initialisation", "24", "", "Which weights did training start from?", "training.json", False),
        ChecklistItem("training", "25", "", "How was it trained?", "training.json and configuration: training", False),
        ChecklistItem("selection", "26", "", "How was the final model chosen?", "training.json", False),
        ChecklistItem("ensembling", "27", "", "Is it an ensemble?", "training.json", False),
        ChecklistItem("updating", "", "12f, 24", "Was it updated or recalibrated?", "training.json", False),
        ChecklistItem("output", "", "12g, 15", "What does it predict, and how is a decision made?", "training.json", False),
        ChecklistItem("input_checks", "", "27a", "How is bad input handled?", SOFTWARE, False),
        ChecklistItem("users", "", "27b", "What must its users know and do?"),
    ),
    "Evaluation": (
        ChecklistItem("metrics", "28", "12e", "What was measured?", "report.json", False),
        ChecklistItem("uncertainty", "29", "", "How uncertain are the numbers?", "report.json, decision.json", False),
        ChecklistItem("robustness", "30", "", "Was robustness evaluated?", "report.json", False),
        ChecklistItem("heterogeneity", "", "12d, 23b", "Do results differ between sources?", "report.json", False),
        ChecklistItem("fairness", "", "3c, 14", "Which groups and inequalities were evaluated?"),
        ChecklistItem("explanation", "31", "", "Are its predictions explained?", "report.json", False),
        ChecklistItem("internal", "32", "", "Was it tested on data of the same source?", "report.json", False),
        ChecklistItem("external", "33", "", "Was it tested on data of another source?", "report.json", False),
        ChecklistItem("performance", "37, 38", "23a", "How well does it perform?", "report.json", False),
        ChecklistItem("failures", "39", "", "Where does it fail?", "report.json", False),
        ChecklistItem("limits", "40", "26", "What are its limitations?", "all files of the run", False),
        ChecklistItem("interpretation", "", "25", "What do the results mean beside earlier work?"),
        ChecklistItem("next_steps", "", "27c", "What research comes next?"),
    ),
    "Other": (
        ChecklistItem("ethics", "", "17", "Was it approved by an ethics committee?"),
        ChecklistItem("registration", "34", "18d", "Was the study registered?"),
        ChecklistItem("protocol", "42", "18c", "Where is the study protocol?"),
        ChecklistItem("availability", "43", "18e, 18f", "Where are data, model and code available?"),
        ChecklistItem("licence", "", "", "Under which licence?"),
        ChecklistItem("funding", "44", "18a", "Who funded it, in which role?"),
        ChecklistItem("conflicts", "", "18b", "Which conflicts of interest are there?"),
        ChecklistItem("involvement", "", "19", "Were patients and the public involved?"),
    ),
}
# fmt: on


def fill_checklist(files: RunFiles) -> list[dict[str, Any]]:
    """Answers every question; "unknown" if neither the configuration nor the run does.

    An entry of the configuration comes first and an answer from the run is added to it.

    Returns:
      rows of `id`, `section`, `claim`, `tripod`, `question`, `value` (the answer), `origin` (file
      or key of the answer; of an unknown item how to provide it), `known`.
    """
    answers = _module(files, "card_answers.txt.j2")
    found = []
    for section, questions in CHECKLIST.items():
        for one in questions:
            given = files.texts.get(one.id, "") if one.option else ""
            parts = [(given, f"configuration: card.{one.id}")] if given else []
            if one.origin != CARD and (text := _text(getattr(answers, one.id)())):
                parts.append((text, one.origin))
            hint = f"not given: card.{one.id}" if one.option else "not in any file of the run"
            found.append(
                {
                    "id": one.id,
                    "section": section,
                    "claim": one.claim,
                    "tripod": one.tripod,
                    "question": one.text,
                    "value": ". ".join(value.rstrip(".") for value, _ in parts) or UNKNOWN,
                    "origin": "; ".join(origin for _, origin in parts) or hint,
                    "known": bool(parts),
                }
            )
    return found


def limits(files: RunFiles) -> list[str]:
    """Returns the limitations that follow from the files, the gravest first; never empty."""
    return [
        line
        for line in map(_text, str(_module(files, "card_limitations.txt.j2")).splitlines())
        if line
    ]


def answer(files: RunFiles, name: str) -> str:
    """Returns the text of a macro of the answers, such as `rule` or `digest`."""
    return _text(getattr(_module(files, "card_answers.txt.j2"), name)())


def _text(text: str) -> str:
    return " ".join(text.split())


def _module(files: RunFiles, template: str) -> Any:
    import jinja2

    # Plain text, which the page escapes. Missing values are empty: the item is then unknown.
    texts = environment(autoescape=False, undefined=jinja2.ChainableUndefined)
    return texts.get_template(template).make_module(
        {
            "files": files,
            "task": files.task,
            "config": files.config,
            "d": files.dataset,
            "leakage": files.leakage,
            "t": files.training,
            "r": files.report or {},
            "decision": files.decision or {},
            "fixed": files.calibration,
            "values": files.metrics,
            "limits_": lambda: limits(files),
        }
    )
