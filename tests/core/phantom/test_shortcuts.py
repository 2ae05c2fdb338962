"""No shortcut: the diagnosis is in the picture, not in its brightness."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core.phantom.cohort import cohort
from core.phantom.dataset import draw_image
from schema.labels import BACTERIA, NORMAL, VIRUS

PATIENTS, SIZE = 300, 128


@pytest.fixture(scope="module")
def sample() -> tuple[np.ndarray, np.ndarray]:
    """One image of each patient, 96x96, and the classes."""
    from PIL import Image

    images, names = [], []
    for patient, _ in cohort(21, 2 * PATIENTS)[:PATIENTS]:
        pixels = draw_image(21, patient, 0, SIZE).pixels
        resized = Image.fromarray(pixels).resize((96, 96), Image.Resampling.BILINEAR)
        images.append(np.asarray(resized, dtype=np.float32))
        names.append(patient.pathogen)
    return np.stack(images), np.array(names)


def local_features(images: np.ndarray) -> np.ndarray:
    """Means and fine detail of 8x8 blocks, and the asymmetry of the means, of [n, 96, 96]."""
    scaled = images - images.mean((1, 2), keepdims=True)
    scaled /= scaled.std((1, 2), keepdims=True)
    blocks = scaled.reshape(-1, 12, 8, 12, 8)
    means, detail = blocks.mean((2, 4)), np.log(blocks.std((2, 4)) + 0.02)
    asymmetry = np.abs(means - means[:, :, ::-1])[:, :, :6]
    parts = (means, asymmetry, detail)
    return np.concatenate([part.reshape(len(images), -1) for part in parts], axis=1)


def auc(features: np.ndarray, positive: np.ndarray, strength: float) -> float:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=3000))
    scores = cross_val_predict(model, features, positive, cv=5, method="predict_proba")
    return float(roc_auc_score(positive, scores[:, 1]))


PAIRS = [(NORMAL, BACTERIA), (NORMAL, VIRUS), (BACTERIA, VIRUS)]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_local_features_predict_better_than_mean_and_deviation(
    sample: tuple[np.ndarray, np.ndarray], first: str, second: str
) -> None:
    images, names = sample
    kept = np.isin(names, (first, second))
    positive = names[kept] == second
    whole = np.stack([images[kept].mean((1, 2)), images[kept].std((1, 2))], axis=1)
    shortcut = auc(whole, positive, 1.0)
    local = auc(local_features(images[kept]), positive, 0.01)
    print(f"{first}/{second}: mean and deviation {shortcut:.3f}, local {local:.3f}")
    assert shortcut < 0.75
    assert local > shortcut + 0.12
    assert 0.75 < local < 0.995  # neither hopeless nor trivial
