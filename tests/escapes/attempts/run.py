"""Run one attempt: NAME TARGETS."""

from tests.escapes.attempts.arena import main

main()
