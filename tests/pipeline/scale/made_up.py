"""A cost model with round numbers."""

from pipeline.scale.model import MEMORY, SECONDS, SHAPE, STORED, CostModel


def model() -> CostModel:
    coefficients = {
        step: {
            quantity: dict.fromkeys(terms, 0.0) | ({"fixed": 100.0} if quantity == MEMORY else {})
            for quantity, terms in shape.items()
        }
        for step, shape in SHAPE.items()
    }
    coefficients["ingest check"][SECONDS] = {"fixed": 3600.0, "image": 0.0, "megapixel": 0.0036}
    coefficients["ingest write"][STORED] = {"image": 0.0, "mib": 2.0**20}
    coefficients["Embedder"][SECONDS] = {"fixed": 0.0, "image": 0.0, "gmac": 0.036}
    coefficients["ImportExampleGen"][MEMORY] = {"fixed": 1024.0, "image": 0.001, "mib": 0.0}
    coefficients["StatisticsGen"][MEMORY] = {"fixed": 1024.0, "image": 0.0005, "mib": 0.0}
    return CostModel(
        measured={"machine": "on paper"},
        largest=dict.fromkeys(SHAPE, 1e5),
        coefficients=coefficients,
        spread={},
        checks=[],
        trunks={"InceptionV3": (299, 5.0, 2048), "Xception": (299, 8.0, 2048)},
        kib_per_megapixel=256.0,
    )
