"""Pipeline programs that are copied into a run; nothing here imports the rest of autokaggle."""
