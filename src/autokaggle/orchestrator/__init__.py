"""What happens next: the stages of a run, its lifecycle, the candidate search, the wiring of skills."""
