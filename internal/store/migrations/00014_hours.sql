-- What a day looks like at a glance: counts by the hour, kept with what they
-- count, so that no page walks messages, codes or conversations. The rules of
-- 00001 hold here as well.

-- +goose Up

-- owner: outbox
-- How many of the messages that were made in an hour are in each state now, by
-- lane and reason; those of dry runs are not among them. hour counts from 1970,
-- UTC. Kept with every transition, as tallies are; gone after 35 days.
CREATE TABLE message_hours (
  hour   INTEGER NOT NULL,
  lane   INTEGER NOT NULL,
  state  TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  n      INTEGER NOT NULL,
  PRIMARY KEY (hour, lane, state, reason)
);
-- An id is the time at which it was made: see internal/store.
INSERT INTO message_hours (hour, lane, state, reason, n)
  SELECT (m.id / 1024 + 1577836800000) / 3600000, s.lane, m.state,
    CASE WHEN m.state IN ('refused','cancelled','failed','expired','unknown') THEN m.reason ELSE '' END, COUNT(*)
  FROM messages m JOIN streams s ON s.id = m.stream_id WHERE s.dry_run = 0
  GROUP BY 1, 2, 3, 4;

-- Which runs and which single messages use a template.
CREATE INDEX streams_template ON streams (template, id) WHERE template <> '';

-- owner: otp
-- How many of the codes that were asked for in an hour stand where, by purpose:
-- state and reason of their challenges, and how far the best of their messages has
-- come (stage 0: nothing is known to have left, 1: Meta took it, 2: delivered).
-- Decoys (1) stand apart. Gone after 35 days.
CREATE TABLE code_hours (
  hour    INTEGER NOT NULL,
  purpose TEXT NOT NULL,
  state   TEXT NOT NULL,
  reason  TEXT NOT NULL DEFAULT '',
  stage   INTEGER NOT NULL,
  decoy   INTEGER NOT NULL,
  n       INTEGER NOT NULL,
  PRIMARY KEY (hour, purpose, state, reason, stage, decoy)
);
ALTER TABLE challenges ADD COLUMN stage INTEGER NOT NULL DEFAULT 0;
UPDATE challenges SET stage = COALESCE((SELECT MAX(CASE WHEN m.state IN ('delivered','read') THEN 2
    WHEN m.state IN ('accepted','accepted_held','sent','presumed_expired') THEN 1 ELSE 0 END)
  FROM code_sends s JOIN messages m ON m.id = s.message_id WHERE s.challenge_id = challenges.id), 0)
  WHERE decoy = 0;
INSERT INTO code_hours (hour, purpose, state, reason, stage, decoy, n)
  SELECT c.created_at / 3600000, c.purpose, c.state, c.reason, c.stage, c.decoy, COUNT(*) FROM challenges c
  GROUP BY 1, 2, 3, 4, 5, 6;
