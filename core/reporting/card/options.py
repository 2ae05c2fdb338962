"""What only people know of a model and its data; the card says `unknown` where they are silent."""

from pydantic import BaseModel, ConfigDict, Field


class CardOptions(BaseModel):
    """Free text for the model card. Nothing here is checked, and nothing has a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    contact: str | None = Field(None, description="who answers for the model")
    intended_use: str | None = Field(None, description="what it is for, its clinical role")
    population: str | None = Field(None, description="patients and users that it is meant for")
    out_of_scope: str | None = Field(None, description="what it must not be used for")
    users: str | None = Field(None, description="what its users must know and do")
    design: str | None = Field(None, description="prospective or retrospective")
    data_source: str | None = Field(None, description="who collected the images, and where to cite")
    dates: str | None = Field(None, description="when the images were taken")
    setting: str | None = Field(None, description="hospitals, wards, countries")
    eligibility: str | None = Field(None, description="who was included when data were collected")
    treatments: str | None = Field(None, description="treatments received before the image")
    acquisition: str | None = Field(None, description="devices, views, exposure")
    demographics: str | None = Field(None, description="age, sex and other traits of each split")
    de_identification: str | None = Field(None, description="how identity was removed")
    reference_standard: str | None = Field(None, description="how the true class was found")
    reference_reason: str | None = Field(None, description="why that reference standard")
    readers: str | None = Field(None, description="who gave the labels, with what experience")
    test_labels: str | None = Field(None, description="how test was labelled, if otherwise")
    agreement: str | None = Field(None, description="agreement within and between readers")
    blinding: str | None = Field(None, description="what readers knew when they labelled")
    fairness: str | None = Field(None, description="groups looked at, known inequalities")
    interpretation: str | None = Field(None, description="what the results mean beside other work")
    next_steps: str | None = Field(None, description="what research comes next")
    licence: str | None = Field(None, description="of data and model")
    availability: str | None = Field(None, description="where data, model and code can be had")
    ethics: str | None = Field(None, description="approval and consent")
    registration: str | None = Field(None, description="of the study")
    protocol: str | None = Field(None, description="where the study protocol stands")
    funding: str | None = Field(None, description="who paid, and their role")
    conflicts: str | None = Field(None, description="conflicts of interest")
    involvement: str | None = Field(None, description="how patients and public took part")
