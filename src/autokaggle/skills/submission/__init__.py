"""The file to hand in: written, checked against the sample, sent and remembered."""
