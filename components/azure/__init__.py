"""Models on managed online endpoints of an Azure Machine Learning workspace that is there."""
