"""An escape suite: programs that try to get out of the sandbox, a world to get out into, and judges."""
