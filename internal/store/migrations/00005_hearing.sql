-- What people say to us, and whether we hear it. The rules of 00001 hold here
-- as well.

-- +goose Up

-- owner: optin
-- personal
-- What a person wrote that may mean an opt-out, until somebody has decided what
-- it means. While one is open, its contact and whoever a STOP of theirs would
-- reach have a row of the scope '@review' in consents (revoke_event is the
-- review's id), and marketing waits. text goes when it was decided: of one that
-- stopped, the event's evidence has it.
CREATE TABLE consent_reviews (
  id         INTEGER PRIMARY KEY,
  contact_id INTEGER NOT NULL,
  number_id  TEXT NOT NULL,
  wamid      TEXT NOT NULL,
  text       TEXT NOT NULL DEFAULT '',
  rule       TEXT NOT NULL,
  language   TEXT NOT NULL,
  said_at    INTEGER NOT NULL,
  opened_at  INTEGER NOT NULL,
  state      TEXT NOT NULL CHECK (state IN ('open','stopped','kept')),
  decided_at INTEGER NOT NULL DEFAULT 0,
  decided_by TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX consent_reviews_open ON consent_reviews (contact_id) WHERE state = 'open';
CREATE UNIQUE INDEX consent_reviews_wamid ON consent_reviews (wamid);
CREATE INDEX consent_reviews_queue ON consent_reviews (id) WHERE state = 'open';
CREATE INDEX consent_reviews_contact ON consent_reviews (contact_id, id);

-- owner: feed
-- Up to where each ledger was told of to webhooks that want events: an id, or an
-- instant (ms); of holds also, in state, the ids of those that stand (JSON). No
-- row: nobody listens.
CREATE TABLE hook_marks (
  source TEXT PRIMARY KEY,
  at     INTEGER NOT NULL,
  state  TEXT NOT NULL DEFAULT ''
);
CREATE INDEX runs_ended ON runs (ended_at) WHERE ended_at > 0;

-- owner: intake
-- One row (id 1): whether Meta's news of messages reach us. heard_at: when the
-- last status or message of a person was applied, 0 for never. waiting_since: of
-- what was accepted since then, the first; 0: nothing was. held 1: marketing
-- stands still for it.
CREATE TABLE hearing (
  id            INTEGER PRIMARY KEY,
  heard_at      INTEGER NOT NULL DEFAULT 0,
  waiting_since INTEGER NOT NULL DEFAULT 0,
  held          INTEGER NOT NULL DEFAULT 0
);
INSERT INTO hearing (id) VALUES (1);
