-- Who works on the queue, and what each has set aside of its machine for the runs that it holds.

CREATE TABLE workers (
    id          TEXT PRIMARY KEY,
    host        TEXT NOT NULL,
    pid         INTEGER NOT NULL,
    slots       INTEGER NOT NULL,
    started     TEXT NOT NULL,
    alive_until TEXT NOT NULL
);

-- Numbers of processors with commas between, as the system numbers them.
ALTER TABLE queue ADD COLUMN processors TEXT NOT NULL DEFAULT '';

ALTER TABLE queue ADD COLUMN memory_bytes INTEGER NOT NULL DEFAULT 0;

-- Left alone until then: somebody else is at work on it, or is about to cancel it.
ALTER TABLE queue ADD COLUMN not_before TEXT NOT NULL DEFAULT '';

CREATE INDEX queue_by_slug ON queue (slug, lease_until);
