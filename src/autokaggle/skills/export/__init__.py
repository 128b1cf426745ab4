"""A run's published code for other places: a notebook for Kaggle, an archive for anywhere."""
