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
