"""A model card: what a person should know before they let a version of the model answer."""

from pipeline.data import Dataset
from pipeline.training import Trained


def card(name: str, trained: Trained, data: Dataset) -> str:
    """Write the card of a trained model, as Markdown."""
    recipe = trained.recipe
    classes = ", ".join(f"{label} is {meaning}" for label, meaning in enumerate(data.classes))
    measures = "\n".join(f"- {metric}: {value:.4f}" for metric, value in trained.metrics.items())
    settings = ", ".join(f"{key} {value:g}" for key, value in recipe.parameters.items())
    return f"""# {name}, {recipe.name}

{recipe.summary} It is an example: no medical device, not for use on patients.

**Answers** for each row of {len(data.features)} measures one label: {classes}.

**Data**: {data.name}, from {data.source}. {len(data.train_y)} rows trained it and {len(data.test_y)} others
judged it; both have the same share of each class. Digest {data.digest}.

**Measured** on the rows that were held out (label 1 is the positive one):
{measures}

**Made by** {settings}. Served as {recipe.flavour}.

**Limits**: few rows, one clinic, features computed from images by hand-drawn outlines. `reference.json` in
the artifact describes the training data; inputs that leave it are outside of what was measured.
"""
