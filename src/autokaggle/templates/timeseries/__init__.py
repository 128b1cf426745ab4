"""Pipelines for forecasts: what is added to the pipeline for tables."""
