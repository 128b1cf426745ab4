"""From what a person pastes to competition facts, page texts and files on disk."""
