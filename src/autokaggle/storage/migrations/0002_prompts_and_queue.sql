-- What was asked of language models, and the runs that wait for a worker.

CREATE TABLE prompts (
    run_id        TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    number        INTEGER NOT NULL,
    time          TEXT NOT NULL,
    model         TEXT NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_usd      REAL,
    PRIMARY KEY (run_id, number)
);

-- A row is free when nobody holds it, or when the holder's lease has run out.
CREATE TABLE queue (
    run_id        TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    slug          TEXT NOT NULL,
    priority      INTEGER NOT NULL DEFAULT 0,
    queued        TEXT NOT NULL,
    worker        TEXT,
    lease_until   TEXT,
    attempts      INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX queue_by_priority ON queue (priority DESC, queued);
