-- What nobody knows, and what follows from it: messages without an answer, and
-- silence after their time to live. The rules of 00001 hold here as well.

-- +goose Up

-- owner: outbox
-- Messages that were queued again although an earlier attempt may have been
-- taken by Meta: each once at most, so the message is the key. attempt: the last
-- one of before; every later one belongs to the second copy. cause: the state it
-- was in, with reason and code; it falls back into it should the second copy
-- come to nothing. actor: janela, or a person. first_…, second_…: when it was
-- known that the copy was taken, and that it failed, with Meta's code. Where
-- both were taken, both were sent.
CREATE TABLE resends (
  message_id       INTEGER PRIMARY KEY,
  attempt          INTEGER NOT NULL,
  cause            TEXT NOT NULL CHECK (cause IN ('unknown','presumed_expired')),
  reason           TEXT NOT NULL DEFAULT '',
  code             INTEGER NOT NULL DEFAULT 0,
  actor            TEXT NOT NULL,
  at               INTEGER NOT NULL,
  first_at         INTEGER NOT NULL DEFAULT 0,
  first_failed_at  INTEGER NOT NULL DEFAULT 0,
  first_code       INTEGER NOT NULL DEFAULT 0,
  second_at        INTEGER NOT NULL DEFAULT 0,
  second_failed_at INTEGER NOT NULL DEFAULT 0,
  second_code      INTEGER NOT NULL DEFAULT 0
);

-- owner: outbox
-- How far Meta's news of our messages reach, by number: of the messages of which
-- a status has come, the latest claim. Silence about a message that was claimed
-- later proves nothing.
CREATE TABLE watermarks (
  number_id  TEXT PRIMARY KEY,
  claimed_at INTEGER NOT NULL
);

-- Messages that no answer came for, in the order in which they came to be so; and
-- single ones that have not arrived. Those of a run are found by messages_run: an
-- index of theirs would cost every message of a campaign several writes.
DROP INDEX messages_unknown;
CREATE INDEX messages_unknown ON messages (ended_at, id) WHERE state = 'unknown';
CREATE INDEX messages_silent ON messages (stream_id, claimed_at) WHERE run_id = 0 AND state IN ('accepted','accepted_held','sent');

-- owner: gate
-- What Meta's errors say of a person beyond the message that they came for.
-- capped_until: no marketing before (Meta chose not to deliver, 131049).
-- days: on how many days messages could not be delivered (131026), counted_at
-- the last of them; undeliverable_at: it was too many, and since then nothing but
-- codes and answers goes to them, 0 for no. Every contact of the person has a row.
CREATE TABLE setbacks (
  contact_id       INTEGER PRIMARY KEY,
  capped_until     INTEGER NOT NULL DEFAULT 0,
  days             INTEGER NOT NULL DEFAULT 0,
  counted_at       INTEGER NOT NULL DEFAULT 0,
  undeliverable_at INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX setbacks_undeliverable ON setbacks (undeliverable_at, contact_id) WHERE undeliverable_at > 0;

-- When a template was last read (the beginning of that reading), when a callback
-- of it was last applied, and Meta's own time of that: what is older changes
-- nothing that is newer, whichever comes first.
ALTER TABLE templates ADD COLUMN read_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE templates ADD COLUMN told_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE templates ADD COLUMN event_at INTEGER NOT NULL DEFAULT 0;

-- Callbacks that could not be applied; hearing keeps the version that last tried
-- them all again.
CREATE INDEX callbacks_failed ON callbacks (id) WHERE state = 'failed';
ALTER TABLE hearing ADD COLUMN version TEXT NOT NULL DEFAULT '';

-- owner: gate
-- Countries to which Meta does not let an account's messages (130497): what goes
-- there is refused until then, when one message tries again.
CREATE TABLE barred_countries (
  waba_id TEXT NOT NULL,
  country TEXT NOT NULL,
  until   INTEGER NOT NULL,
  PRIMARY KEY (waba_id, country)
);
