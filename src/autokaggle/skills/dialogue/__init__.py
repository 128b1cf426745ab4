"""What is agreed before the search, and with whom: the user, a language model, or the built-in strategist."""
