"""A trial of features before they cost a run; this folder is copied beside a candidate's code."""
