"""Everything that one stage hands to the next: frozen, versioned records by subject.

They have no behaviour but to say what follows from their own fields.

Each record that is a file of its own starts with ``version``. A reader refuses a newer version and fills
fields that an older version did not have. Times are ISO 8601 in UTC, durations are seconds, sizes are bytes,
fractions are 0 to 1. Row numbers are 0-based positions in file order.
"""
