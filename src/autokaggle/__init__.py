"""AutoKaggle: from a Kaggle competition link to a valid, strong, reproducible and explained submission."""

__version__ = "0.1.0"
