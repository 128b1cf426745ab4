"""Pipelines for text: what is added to the pipeline for tables."""
