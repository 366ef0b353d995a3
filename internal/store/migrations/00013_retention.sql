-- What becomes of messages that ended long ago. The rules of 00001 hold here as
-- well.

-- +goose Up

-- owner: outbox
-- personal
-- Messages that ended long ago, as the policy of config.toml says: in messages
-- or here, never in both. The columns are those of messages that reports, the
-- file of a person, conversations, late statuses and answers need. What a message
-- said (params, reply_to) is gone, and so is the address where nobody knew the
-- person (contact_id 0).
CREATE TABLE past_messages (
  id           INTEGER PRIMARY KEY,
  stream_id    INTEGER NOT NULL,
  run_id       INTEGER NOT NULL,
  contact_id   INTEGER NOT NULL,
  address      TEXT NOT NULL,
  kind         TEXT NOT NULL,
  line         INTEGER NOT NULL,
  external_id  TEXT NOT NULL,
  state        TEXT NOT NULL CHECK (state IN ('delivered','read','failed','presumed_expired','refused','cancelled','expired')),
  reason       TEXT NOT NULL,
  code         INTEGER NOT NULL,
  attempt      INTEGER NOT NULL,
  not_before   INTEGER NOT NULL,
  deadline     INTEGER NOT NULL,
  created_at   INTEGER NOT NULL,
  claimed_at   INTEGER NOT NULL,
  accepted_at  INTEGER NOT NULL,
  sent_at      INTEGER NOT NULL,
  delivered_at INTEGER NOT NULL,
  read_at      INTEGER NOT NULL,
  failed_at    INTEGER NOT NULL,
  ended_at     INTEGER NOT NULL,
  held         INTEGER NOT NULL,
  in_window    INTEGER NOT NULL,
  wamid        TEXT NOT NULL
);
CREATE INDEX past_messages_contact ON past_messages (contact_id, id) WHERE contact_id > 0;
CREATE INDEX past_messages_run ON past_messages (run_id, id) WHERE run_id > 0;

-- owner: outbox
-- One row (id 1): how many messages stand in past_messages, and when it was last
-- seen to the end what else has to go there; 0 for never. looked_at: when that was
-- last begun; since: from when on it was, with no gap of more than a day.
CREATE TABLE retention (
  id        INTEGER PRIMARY KEY,
  messages  INTEGER NOT NULL DEFAULT 0,
  ran_at    INTEGER NOT NULL DEFAULT 0,
  looked_at INTEGER NOT NULL DEFAULT 0,
  since     INTEGER NOT NULL DEFAULT 0
);
INSERT INTO retention (id) VALUES (1);
