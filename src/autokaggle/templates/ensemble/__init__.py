"""The pipeline that blends several candidates."""
