"""Train every member; this file is the first script: each member writes its own ``model.joblib``."""

from __future__ import annotations

from members import run_members

if __name__ == "__main__":
    run_members("train.py")
