-- The index of runs. The run folder is the truth: every row here can be made again from it.

CREATE TABLE runs (
    id                TEXT PRIMARY KEY,
    folder            TEXT NOT NULL,
    slug              TEXT NOT NULL,
    target            TEXT NOT NULL,
    status            TEXT NOT NULL,
    created           TEXT NOT NULL,
    updated           TEXT NOT NULL,
    isolation         TEXT,
    metric            TEXT,
    greater_is_better INTEGER,
    score             REAL,
    score_low         REAL,
    score_high        REAL,
    cost_usd          REAL NOT NULL,
    error             TEXT NOT NULL
);

CREATE INDEX runs_by_created ON runs (created);

CREATE TABLE stages (
    run_id   TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name     TEXT NOT NULL,
    status   TEXT NOT NULL,
    started  TEXT NOT NULL,
    seconds  REAL NOT NULL,
    message  TEXT NOT NULL,
    PRIMARY KEY (run_id, position)
);

CREATE TABLE candidates (
    run_id            TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    id                TEXT NOT NULL,
    title             TEXT NOT NULL,
    family            TEXT NOT NULL,
    operator          TEXT NOT NULL,
    parent            TEXT,
    status            TEXT NOT NULL,
    reason            TEXT NOT NULL,
    score             REAL,
    score_low         REAL,
    score_high        REAL,
    greater_is_better INTEGER,
    seconds           REAL NOT NULL,
    PRIMARY KEY (run_id, id)
);

CREATE TABLE events (
    number  INTEGER PRIMARY KEY,
    run_id  TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    time    TEXT NOT NULL,
    kind    TEXT NOT NULL,
    message TEXT NOT NULL,
    fields  TEXT NOT NULL
);

CREATE INDEX events_by_run ON events (run_id, number);
