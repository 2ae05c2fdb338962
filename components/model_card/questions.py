"""The table of items, along CLAIM 2024 (Tejani et al., Radiol. Artif. Intell. 2024;6:e240300) and
TRIPOD+AI (Collins et al., BMJ 2024;385:e078378); the questions are in our own words.
"""

# ruff: noqa: E501 (a line of the table is a line)

from typing import Final

from components.model_card import about_data as data
from components.model_card import about_model as model
from components.model_card import about_results as results
from components.model_card.data import UNKNOWN, Facts, Item, Question, Told


def nobody(_: Facts) -> Told | None:
    """Only people know."""
    return None


# fmt: off
QUESTIONS: Final[tuple[Question, ...]] = (
    # General
    Question("kind", "General", "1", "1", "What kind of model is it?", model.kind),
    Question("summary", "General", "2", "2", "In one sentence: what was done and found?", results.summary),
    Question("intended_use", "General", "3, 41", "3a", "What is it meant for, in which clinical role?", nobody, "intended_use"),
    Question("population", "General", "", "3b", "For which patients and which users?", nobody, "population"),
    Question("out_of_scope", "General", "", "", "What must it not be used for?", nobody, "out_of_scope"),
    Question("goal", "General", "4, 6", "4", "What was the aim?", model.goal),
    Question("contact", "General", "", "", "Who answers for it?", nobody, "contact"),
    # Data
    Question("design", "Data", "5", "", "Prospective or retrospective?", nobody, "design"),
    Question("data_source", "Data", "7", "5a", "Where do the images come from?", data.data_source, "data_source"),
    Question("dates", "Data", "", "5b", "When were they taken?", nobody, "dates"),
    Question("setting", "Data", "", "6a", "In which hospitals and countries?", nobody, "setting"),
    Question("eligibility", "Data", "8", "6b", "Who was included when the data were collected?", nobody, "eligibility"),
    Question("treatments", "Data", "", "6c", "Which treatments had been given?", nobody, "treatments"),
    Question("acquisition", "Data", "13", "", "With which devices and protocol?", nobody, "acquisition"),
    Question("preprocessing", "Data", "9", "7, 12b", "What was done to the images?", data.preprocessing),
    Question("predictors", "Data", "", "9a, 9b, 9c", "What does the model see?", data.predictors),
    Question("subsets", "Data", "10", "", "Which part of the data was used?", data.subsets),
    Question("de_identification", "Data", "11", "", "How was identity removed?", nobody, "de_identification"),
    Question("missing", "Data", "12", "11", "What was done about missing data?", data.missing),
    Question("flow", "Data", "35", "20a", "How many were included and excluded?", data.flow),
    Question("composition", "Data", "", "21", "Which classes are in each split?", data.composition),
    Question("demographics", "Data", "36", "20b", "Age, sex and clinical traits of each split?", nobody, "demographics"),
    # Reference standard
    Question("reference_standard", "Reference standard", "14", "8a", "How was the true class found?", nobody, "reference_standard"),
    Question("reference_reason", "Reference standard", "15", "", "Why in this way?", nobody, "reference_reason"),
    Question("readers", "Reference standard", "16", "8b", "Who labelled, with which experience?", nobody, "readers"),
    Question("test_labels", "Reference standard", "17", "", "How was test labelled?", nobody, "test_labels"),
    Question("agreement", "Reference standard", "18", "", "How well did readers agree?", nobody, "agreement"),
    Question("blinding", "Reference standard", "", "8c", "What did readers know when they labelled?", nobody, "blinding"),
    # Splits
    Question("assignment", "Splits", "19", "12a", "How were the splits made?", data.assignment),
    Question("disjoint", "Splits", "20", "", "What keeps them apart?", data.disjoint),
    Question("sample_size", "Splits", "21", "10", "How was the sample size chosen?", data.sample_size),
    Question("imbalance", "Splits", "", "13", "What was done about unequal classes?", data.imbalance),
    Question("differences", "Splits", "", "16, 20c", "How do training and evaluation data differ?", data.differences),
    # Model
    Question("description", "Model", "22", "12c, 22", "What is the model made of?", model.description),
    Question("software", "Model", "23", "", "Which software, in which versions?", model.software),
    Question("initialisation", "Model", "24", "", "Which weights did training start from?", model.initialisation),
    Question("training", "Model", "25", "", "How was it trained?", model.training),
    Question("selection", "Model", "26", "", "How was the final model chosen?", model.selection),
    Question("ensembling", "Model", "27", "", "Do several models answer together?", model.ensembling),
    Question("updating", "Model", "", "12f, 24", "Was it updated or recalibrated?", model.calibration),
    Question("output", "Model", "", "12g, 15", "What does it answer, and how is a decision made?", model.output),
    Question("input_checks", "Model", "", "27a", "What happens with bad input?", model.input_checks),
    Question("users", "Model", "", "27b", "What must its users know and do?", nobody, "users"),
    # Evaluation
    Question("metrics", "Evaluation", "28", "12e", "What was measured?", results.which_metrics),
    Question("uncertainty", "Evaluation", "29", "", "How certain are the numbers?", results.uncertainty),
    Question("robustness", "Evaluation", "30", "", "Was robustness looked at?", results.robustness),
    Question("heterogeneity", "Evaluation", "", "12d, 23b", "Do results differ between sources?", results.heterogeneity),
    Question("fairness", "Evaluation", "", "3c, 14", "Which groups and inequalities were looked at?", nobody, "fairness"),
    Question("explanation", "Evaluation", "31", "", "Does it explain its answers?", model.explanation),
    Question("internal", "Evaluation", "32", "", "Tested on data of the same source?", results.internal),
    Question("external", "Evaluation", "33", "", "Tested on data of another source?", results.external),
    Question("performance", "Evaluation", "37, 38", "23a", "How well does it do?", results.performance),
    Question("failures", "Evaluation", "39", "", "Where does it fail?", results.failures),
    Question("limits", "Evaluation", "40", "26", "What are its limits?", results.known_limits),
    Question("interpretation", "Evaluation", "", "25", "What do the results mean beside earlier work?", nobody, "interpretation"),
    Question("next_steps", "Evaluation", "", "27c", "What research comes next?", nobody, "next_steps"),
    # Other
    Question("ethics", "Other", "", "17", "Was it approved by an ethics committee?", nobody, "ethics"),
    Question("registration", "Other", "34", "18d", "Was the study registered?", nobody, "registration"),
    Question("protocol", "Other", "42", "18c", "Where is the study protocol?", nobody, "protocol"),
    Question("availability", "Other", "43", "18e, 18f", "Where can data, model and code be had?", nobody, "availability"),
    Question("licence", "Other", "", "", "Under which licence?", nobody, "licence"),
    Question("funding", "Other", "44", "18a", "Who paid, in which role?", nobody, "funding"),
    Question("conflicts", "Other", "", "18b", "Which conflicts of interest are there?", nobody, "conflicts"),
    Question("involvement", "Other", "", "19", "Did patients and public take part?", nobody, "involvement"),
)
# fmt: on


def fill(facts: Facts) -> list[Item]:
    """Answers every question, with `unknown` where nobody knows.

    What the configuration's `card` says goes first; a fact of the run that answers the same
    question is added, so that neither hides the other.
    """
    return [_item(question, facts) for question in QUESTIONS]


def _item(question: Question, facts: Facts) -> Item:
    told = question.answer(facts)
    given = facts.card.get(question.option, "") if question.option else ""
    parts = [(given, f"configuration: card.{question.option}")] if given else []
    parts += [(told.value, told.origin)] if told and told.value else []
    hint = f"not given: card.{question.option}" if question.option else "no file of the run says so"
    return Item(
        id=question.id,
        section=question.section,
        claim=question.claim,
        tripod=question.tripod,
        question=question.text,
        value=". ".join(value.rstrip(".") for value, _ in parts) or UNKNOWN,
        origin="; ".join(origin for _, origin in parts) or hint,
        known=bool(parts),
    )
