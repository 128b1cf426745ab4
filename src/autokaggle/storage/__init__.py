"""What outlives a process: run folders, the data set cache, the state store, the vault."""
