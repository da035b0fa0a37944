"""BentoML's way, as in its quickstart."""

import os

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1)
class Tumour:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api
    def predict(self, features: np.ndarray) -> list[int]:
        return self.model.predict(features).tolist()
