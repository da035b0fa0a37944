"""What most teams write first: FastAPI, a pydantic model, joblib."""

import os

import joblib
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["MODEL"])


class Request(BaseModel):
    features: list[list[float]]


@app.post("/predict")
def predict(request: Request) -> dict[str, list[int]]:
    return {"predictions": model.predict(request.features).tolist()}
