-- Webhooks to the business's own systems. The rules of 00001 hold here as well.

-- +goose Up

-- owner: hooks
-- Where webhooks go, one row per name that was ever configured. state paused:
-- nothing is sent, and what comes waits (reason gone: the target answered 410;
-- operator). url_hash: SHA-256 of the address, hex; another address ends "gone".
-- waiting and dead count deliveries; bytes is what both take on disk, roughly,
-- and what is bounded. dropped: deliveries not taken because the bound was met.
-- retried_at: when a person last asked to try again.
CREATE TABLE hook_targets (
  name       TEXT PRIMARY KEY,
  state      TEXT NOT NULL CHECK (state IN ('active','paused')),
  reason     TEXT NOT NULL DEFAULT '',
  actor      TEXT NOT NULL DEFAULT '',
  since      INTEGER NOT NULL,
  url_hash   TEXT NOT NULL,
  waiting    INTEGER NOT NULL DEFAULT 0,
  dead       INTEGER NOT NULL DEFAULT 0,
  bytes      INTEGER NOT NULL DEFAULT 0,
  dropped    INTEGER NOT NULL DEFAULT 0,
  dropped_at INTEGER NOT NULL DEFAULT 0,
  retried_at INTEGER NOT NULL DEFAULT 0
);

-- owner: hooks
-- personal
-- What is sent: the JSON of an event, which names nobody, or a callback of
-- Meta's as it came, which does. Kept until its last delivery has ended.
-- content_type and signature are Meta's own headers, of a callback only.
CREATE TABLE hook_payloads (
  id           INTEGER PRIMARY KEY,
  kind         TEXT NOT NULL CHECK (kind IN ('event','callback')),
  type         TEXT NOT NULL,
  body         BLOB NOT NULL,
  content_type TEXT NOT NULL DEFAULT '',
  signature    TEXT NOT NULL DEFAULT '',
  created_at   INTEGER NOT NULL
);

-- owner: hooks
-- One payload on its way to one target; the row goes when it has arrived. key:
-- hash of what the order is kept by ('' for none); of the same key one is queued
-- or sending, and those after it are waiting. attempt counts requests; failure
-- says what became of the last one; since failing_since they fail in a way that
-- may be about this payload alone. bytes is its share of hook_targets.bytes.
CREATE TABLE hook_deliveries (
  id            INTEGER PRIMARY KEY,
  payload_id    INTEGER NOT NULL,
  target        TEXT NOT NULL,
  key           TEXT NOT NULL DEFAULT '',
  state         TEXT NOT NULL CHECK (state IN ('waiting','queued','sending','dead')),
  attempt       INTEGER NOT NULL DEFAULT 0,
  failing_since INTEGER NOT NULL DEFAULT 0,
  failure       TEXT NOT NULL DEFAULT '',
  not_before    INTEGER NOT NULL,
  deadline      INTEGER NOT NULL,
  bytes         INTEGER NOT NULL,
  created_at    INTEGER NOT NULL,
  claimed_at    INTEGER NOT NULL DEFAULT 0,
  ended_at      INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX hook_deliveries_payload ON hook_deliveries (payload_id);
CREATE INDEX hook_deliveries_due ON hook_deliveries (target, not_before, id) WHERE state = 'queued';
CREATE UNIQUE INDEX hook_deliveries_head ON hook_deliveries (target, key) WHERE key <> '' AND state IN ('queued','sending');
CREATE INDEX hook_deliveries_behind ON hook_deliveries (target, key, id) WHERE state = 'waiting';
CREATE INDEX hook_deliveries_open ON hook_deliveries (target, deadline, id) WHERE state <> 'dead';
CREATE INDEX hook_deliveries_dead ON hook_deliveries (target, ended_at, id) WHERE state = 'dead';
CREATE INDEX hook_deliveries_sending ON hook_deliveries (id) WHERE state = 'sending';
