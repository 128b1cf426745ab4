"""Attempts to get out of the sandbox, one function each; they run inside it."""
