"""Jobs on other machines, by dask.distributed; imported only when a run asks for a cluster."""
