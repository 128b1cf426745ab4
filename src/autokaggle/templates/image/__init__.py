"""Pipelines for images: what is added to the pipeline for tables."""
