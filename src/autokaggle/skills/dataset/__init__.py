"""From files to typed tables and a profile: roles, columns, targets, task, split hints."""
