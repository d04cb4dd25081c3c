"""Images to networks to explanations: an experiment project for medical imaging."""

__version__ = "0.1.0"
