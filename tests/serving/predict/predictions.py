"""Predictions of every kind, as Hypothesis strategies."""

from hypothesis import strategies as st

from serving.predict.prediction import Prediction, rejected

CLASSES = ["NORMAL", "PNEUMONIA"]


def make_prediction(name: str, score: float, decision: str = "") -> Prediction:
    decision = decision or ("POSITIVE" if score >= 0.5 else "NEGATIVE")
    return Prediction(
        name,
        CLASSES[score >= 0.5],
        decision,
        score,
        {"NORMAL": 1 - score, "PNEUMONIA": score},
        decision == "REFER",
        "OK",
    )


# Names as file systems allow them: no NUL, but quotes, commas, line feeds and broken UTF-8.
NAMES = st.text(
    st.one_of(
        st.sampled_from('",\n\r ;=äµ'),
        st.characters(min_codepoint=1, exclude_categories=["Cs"]),
        st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF),
    ),
    min_size=1,
    max_size=12,
)


PREDICTIONS = st.one_of(
    st.builds(
        make_prediction,
        NAMES,
        st.floats(0, 1, width=32),
        st.sampled_from(["", "REFER"]),
    ),
    st.builds(
        rejected, NAMES, st.sampled_from(["the file is empty", 'a "b", c']), st.just("EMPTY")
    ),
)
