"""The model server: one program for pods, functions, containers and the local stack."""

import os

# onnxruntime starts a client of telemetry with its first session, with a database in the user's folder; its
# own API only asks it to send nothing. Whatever is of this package is imported after this line.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
