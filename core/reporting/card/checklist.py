"""Checklist of the model card: CLAIM 2024 and TRIPOD+AI.

CLAIM: Tejani et al., Radiol. Artif. Intell. 2024;6:e240300. TRIPOD+AI: Collins et al., BMJ
2024;385:e078378. The questions are in our own words; those that the configuration can answer are
the descriptions of `CardOptions`. The answers from the files of a run are the macros of
`templates/card_answers.txt.j2`, named by the id of the item.
"""

# ruff: noqa: E501 (one line per row of the table)

from typing import Any, Final, NamedTuple

from core.reporting.card.options import CardOptions
from core.reporting.card.run_files import RunFiles
from core.reporting.rendering import environment

UNKNOWN: Final = "unknown"
SOFTWARE: Final = "the software"  # holds for every model of this pipeline
CARD: Final = "card"  # answered by the configuration only, under `card`
_ANSWERS: Final = "card_answers.txt.j2"


class ChecklistItem(NamedTuple):
    """A row of the table.

    Attributes:
      id: name of the macro with the answer, of the entry of `CardOptions`, or of both.
      claim: numbers in CLAIM 2024, as "9" or "37, 38"; may be empty.
      tripod: numbers in TRIPOD+AI; may be empty.
      origin: files of the run that contain the answer.
      text: the question; empty if it is the description of the entry of `CardOptions`.
    """

    id: str
    claim: str
    tripod: str
    origin: str = CARD
    text: str = ""

    @property
    def option(self) -> bool:
        """Whether the configuration can answer the item."""
        return self.id in CardOptions.model_fields

    @property
    def question(self) -> str:
        """Text of the question."""
        return self.text or CardOptions.model_fields[self.id].description or ""


# fmt: off
CHECKLIST: Final[dict[str, tuple[ChecklistItem, ...]]] = {
    "General": (
        ChecklistItem("kind", "1", "1", "training.json", "What kind of model is it?"),
        ChecklistItem("summary", "2", "2", "report.json", "What was done and found, in one sentence?"),
        ChecklistItem("intended_use", "3, 41", "3a"),
        ChecklistItem("population", "", "3b"),
        ChecklistItem("out_of_scope", "", ""),
        ChecklistItem("goal", "4, 6", "4", "configuration: data.task", "What was the aim?"),
        ChecklistItem("contact", "", ""),
    ),
    "Data": (
        ChecklistItem("design", "5", ""),
        ChecklistItem("data_source", "7", "5a", "dataset.json"),
        ChecklistItem("dates", "", "5b"),
        ChecklistItem("setting", "", "6a"),
        ChecklistItem("eligibility", "8", "6b"),
        ChecklistItem("treatments", "", "6c"),
        ChecklistItem("acquisition", "13", ""),
        ChecklistItem("preprocessing", "9", "7, 12b", "training.json", "How were the images preprocessed?"),
        ChecklistItem("predictors", "", "9a, 9b, 9c", SOFTWARE, "What is the input of the model?"),
        ChecklistItem("subsets", "10", "", "dataset.json", "Which part of the data was used?"),
        ChecklistItem("de_identification", "11", ""),
        ChecklistItem("missing", "12", "11", "dataset.json", "How were missing data handled?"),
        ChecklistItem("flow", "35", "20a", "dataset.json", "How many were included and excluded?"),
        ChecklistItem("composition", "", "21", "dataset.json", "Which classes are in each split?"),
        ChecklistItem("demographics", "36", "20b"),
    ),
    "Reference standard": (
        ChecklistItem("reference_standard", "14", "8a"),
        ChecklistItem("reference_reason", "15", ""),
        ChecklistItem("readers", "16", "8b"),
        ChecklistItem("test_labels", "17", ""),
        ChecklistItem("agreement", "18", ""),
        ChecklistItem("blinding", "", "8c"),
    ),
    "Splits": (
        ChecklistItem("assignment", "19", "12a", "dataset.json", "How were the splits made?"),
        ChecklistItem("disjoint", "20", "", "leakage.json", "How are the splits kept disjoint?"),
        ChecklistItem("sample_size", "21", "10", "dataset.json", "How was the sample size chosen?"),
        ChecklistItem("imbalance", "", "13", "training.json", "How was class imbalance handled?"),
        ChecklistItem("differences", "", "16, 20c", "dataset.json, report.json", "How do training and evaluation data differ?"),
    ),
    "Model": (
        ChecklistItem("description", "22", "12c, 22", "training.json", "What is the architecture?"),
        ChecklistItem("software", "23", "", "report.json", "Which software, in which versions?"),
        ChecklistItem("initialisation", "24", "", "training.json", "Which weights did training start from?"),
        ChecklistItem("training", "25", "", "training.json and configuration: training", "How was it trained?"),
        ChecklistItem("selection", "26", "", "training.json", "How was the final model chosen?"),
        ChecklistItem("ensembling", "27", "", "training.json", "Is it an ensemble?"),
        ChecklistItem("updating", "", "12f, 24", "training.json", "Was it updated or recalibrated?"),
        ChecklistItem("output", "", "12g, 15", "training.json", "What does it predict, and how is a decision made?"),
        ChecklistItem("input_checks", "", "27a", SOFTWARE, "How is bad input handled?"),
        ChecklistItem("users", "", "27b"),
    ),
    "Evaluation": (
        ChecklistItem("metrics", "28", "12e", "report.json", "What was measured?"),
        ChecklistItem("uncertainty", "29", "", "report.json, decision.json", "How uncertain are the numbers?"),
        ChecklistItem("robustness", "30", "", "report.json", "Was robustness evaluated?"),
        ChecklistItem("heterogeneity", "", "12d, 23b", "report.json", "Do results differ between sources?"),
        ChecklistItem("fairness", "", "3c, 14"),
        ChecklistItem("explanation", "31", "", "report.json", "Are its predictions explained?"),
        ChecklistItem("internal", "32", "", "report.json", "Was it tested on data of the same source?"),
        ChecklistItem("external", "33", "", "report.json", "Was it tested on data of another source?"),
        ChecklistItem("performance", "37, 38", "23a", "report.json", "How well does it perform?"),
        ChecklistItem("failures", "39", "", "report.json", "Where does it fail?"),
        ChecklistItem("limits", "40", "26", "all files of the run", "What are its limitations?"),
        ChecklistItem("interpretation", "", "25"),
        ChecklistItem("next_steps", "", "27c"),
    ),
    "Other": (
        ChecklistItem("ethics", "", "17"),
        ChecklistItem("registration", "34", "18d"),
        ChecklistItem("protocol", "42", "18c"),
        ChecklistItem("availability", "43", "18e, 18f"),
        ChecklistItem("licence", "", ""),
        ChecklistItem("funding", "44", "18a"),
        ChecklistItem("conflicts", "", "18b"),
        ChecklistItem("involvement", "", "19"),
    ),
}
# fmt: on


def fill_checklist(files: RunFiles) -> list[dict[str, Any]]:
    """Answers every item from the configuration and the files of the run.

    If both have an answer, that of the configuration comes first.

    Returns:
      rows of `id`, `section`, `claim`, `tripod`, `question`, `value` (the answer, or "unknown"),
      `origin` (file or key of the answer; of an unknown item how to provide it), `known`.
    """
    macros = _load(files, _ANSWERS)
    rows = []
    for section, items in CHECKLIST.items():
        for item in items:
            parts = []
            if item.option and (text := files.texts.get(item.id)):
                parts.append((text, f"configuration: card.{item.id}"))
            if item.origin != CARD and (text := _one_line(getattr(macros, item.id)())):
                parts.append((text, item.origin))
            hint = f"set card.{item.id}" if item.option else "not in any file of the run"
            rows.append(
                {
                    "id": item.id,
                    "section": section,
                    "claim": item.claim,
                    "tripod": item.tripod,
                    "question": item.question,
                    "value": ". ".join(value.rstrip(".") for value, _ in parts) or UNKNOWN,
                    "origin": "; ".join(origin for _, origin in parts) or hint,
                    "known": bool(parts),
                }
            )
    return rows


def limitations(files: RunFiles) -> list[str]:
    """Returns the limitations that follow from the files, the gravest first; never empty."""
    lines = str(_load(files, "card_limitations.txt.j2")).splitlines()
    return [line for line in map(_one_line, lines) if line]


def answer(files: RunFiles, name: str, *arguments: Any) -> str:
    """Returns the text of one macro of the answers, such as `rule` or `digest`."""
    return _one_line(getattr(_load(files, _ANSWERS), name)(*arguments))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _load(files: RunFiles, template: str) -> Any:
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
            "limitations": lambda: limitations(files),
        }
    )
