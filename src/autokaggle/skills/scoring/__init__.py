"""The one honest judge: folds, metrics, decision rules, ensembles, audit. All of it trusted code."""
