"""Configuration section `card`: items of the model card that no file of a run contains."""

from pydantic import Field

from schema.options import Options


class CardOptions(Options):
    """Free text for the model card, copied without a check; items without text are unknown.

    The descriptions are the questions of the card's checklist (`core.reporting.card.checklist`).
    """

    intended_use: str | None = Field(
        None, description="What is the intended use and clinical role?"
    )
    population: str | None = Field(None, description="For which patients and users is it?")
    out_of_scope: str | None = Field(None, description="What must it not be used for?")
    contact: str | None = Field(None, description="Who is responsible for it?")
    design: str | None = Field(None, description="Was the study prospective or retrospective?")
    data_source: str | None = Field(None, description="Where do the images come from?")
    dates: str | None = Field(None, description="When were they taken?")
    setting: str | None = Field(None, description="In which hospitals and countries?")
    eligibility: str | None = Field(
        None, description="Who was included when the data were collected?"
    )
    treatments: str | None = Field(None, description="Which treatments had been given?")
    acquisition: str | None = Field(None, description="With which devices and protocol?")
    de_identification: str | None = Field(None, description="How were the data de-identified?")
    demographics: str | None = Field(
        None, description="What are age, sex and clinical traits of each split?"
    )
    reference_standard: str | None = Field(None, description="What is the reference standard?")
    reference_reason: str | None = Field(None, description="Why this reference standard?")
    readers: str | None = Field(None, description="Who labelled, with which experience?")
    test_labels: str | None = Field(None, description="How was the test split labelled?")
    agreement: str | None = Field(None, description="How well did readers agree?")
    blinding: str | None = Field(None, description="What did readers know when they labelled?")
    users: str | None = Field(None, description="What must its users know and do?")
    fairness: str | None = Field(None, description="Which groups and inequalities were evaluated?")
    interpretation: str | None = Field(
        None, description="What do the results mean beside earlier work?"
    )
    next_steps: str | None = Field(None, description="What research comes next?")
    ethics: str | None = Field(None, description="Was it approved by an ethics committee?")
    registration: str | None = Field(None, description="Was the study registered?")
    protocol: str | None = Field(None, description="Where is the study protocol?")
    availability: str | None = Field(None, description="Where are data, model and code available?")
    licence: str | None = Field(None, description="Under which licence?")
    funding: str | None = Field(None, description="Who funded it, in which role?")
    conflicts: str | None = Field(None, description="Which conflicts of interest are there?")
    involvement: str | None = Field(None, description="Were patients and the public involved?")
