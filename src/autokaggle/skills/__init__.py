"""One room per capability, in the order of a run; rooms never import each other nor open the database."""
