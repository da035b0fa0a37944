"""Writes the model in MLflow's format: run by the Python of the peer."""

import sys

import joblib
import mlflow
from sklearn.datasets import load_breast_cancer

rows = load_breast_cancer().data
fitted = joblib.load(sys.argv[1])
signature = mlflow.models.infer_signature(rows, fitted.predict(rows))
mlflow.sklearn.save_model(fitted, sys.argv[2], signature=signature, pip_requirements=["scikit-learn"])
