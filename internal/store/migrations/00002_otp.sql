-- One-time codes, the keys of those who ask for them, and replies that a
-- repeated request gets again. The rules of 00001 hold here as well.

-- +goose Up

-- owner: access
-- Keys of the business's own systems. The key itself is shown once and kept
-- nowhere: hash is the SHA-256 of its secret part (256 random bits), hex.
-- scopes, purposes and countries are JSON lists; [] of the last two: every one.
CREATE TABLE api_keys (
  id         TEXT PRIMARY KEY,
  client     TEXT NOT NULL,
  hash       TEXT NOT NULL,
  scopes     TEXT NOT NULL,
  purposes   TEXT NOT NULL DEFAULT '[]',
  countries  TEXT NOT NULL DEFAULT '[]',
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  expires_at INTEGER NOT NULL DEFAULT 0,
  revoked_at INTEGER NOT NULL DEFAULT 0,
  revoked_by TEXT NOT NULL DEFAULT ''
);

-- owner: access
-- What a request with an Idempotency-Key was answered. key and request are
-- hashes: of the key as sent, and of the body (keyed). reply holds no personal
-- data; what must be told in full is made again from its own ledger.
CREATE TABLE idempotent_replies (
  client     TEXT NOT NULL,
  route      TEXT NOT NULL,
  key        TEXT NOT NULL,
  request    TEXT NOT NULL,
  status     INTEGER NOT NULL,
  reply      TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (client, route, key)
);
CREATE INDEX idempotent_replies_expires ON idempotent_replies (expires_at);

-- owner: otp
-- personal
-- One request of a code, until it is verified or ends. No code stands anywhere:
-- it is made of seed (hex), the key kid, and what the row says of client,
-- purpose, number and binding; seed is wiped when the challenge ends.
-- phone_key: keyed hash of the number's wide key, the same for both spellings of
-- a Brazilian number; phone_mac: keyed hash of the exact number; binding: keyed
-- hash of the caller's; ip_key: of the address that asked. gen counts codes,
-- attempts guesses over all of them. reason says why it failed; of a verified one
-- 'identity_changed' where Meta's identity key was another than last time.
-- message_id: the latest message (0: none was sent). metadata: the caller's.
-- prefix_key: keyed hash of the number without its last four digits. decoy 1:
-- one that only looks real. It has no contact and no code; its message_id is
-- negative, and stands in code_decoys.
CREATE TABLE challenges (
  id           TEXT PRIMARY KEY,
  client       TEXT NOT NULL,
  purpose      TEXT NOT NULL,
  contact_id   INTEGER NOT NULL,
  phone_key    TEXT NOT NULL,
  phone_mac    TEXT NOT NULL,
  prefix_key   TEXT NOT NULL DEFAULT '',
  masked       TEXT NOT NULL,
  country      TEXT NOT NULL,
  ip_key       TEXT NOT NULL DEFAULT '',
  binding      TEXT NOT NULL DEFAULT '',
  language     TEXT NOT NULL,
  device       TEXT NOT NULL DEFAULT '',
  trusted      INTEGER NOT NULL DEFAULT 0,
  decoy        INTEGER NOT NULL DEFAULT 0,
  digits       INTEGER NOT NULL,
  kid          TEXT NOT NULL,
  seed         TEXT NOT NULL,
  gen          INTEGER NOT NULL DEFAULT 1,
  attempts     INTEGER NOT NULL DEFAULT 0,
  max_attempts INTEGER NOT NULL,
  resends      INTEGER NOT NULL DEFAULT 0,
  max_resends  INTEGER NOT NULL,
  state        TEXT NOT NULL CHECK (state IN ('pending','verified','expired','cancelled','superseded','exhausted','reported','failed')),
  reason       TEXT NOT NULL DEFAULT '',
  channel      TEXT NOT NULL DEFAULT 'whatsapp',
  message_id   INTEGER NOT NULL DEFAULT 0,
  metadata     TEXT NOT NULL DEFAULT '',
  created_at   INTEGER NOT NULL,
  code_at      INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,
  ended_at     INTEGER NOT NULL DEFAULT 0,
  CHECK (decoy = 0 OR (state <> 'verified' AND contact_id = 0 AND message_id <= 0))
);
CREATE INDEX challenges_pending ON challenges (phone_key, purpose) WHERE state = 'pending';
CREATE INDEX challenges_due ON challenges (expires_at) WHERE state = 'pending';
CREATE INDEX challenges_ended ON challenges (ended_at) WHERE ended_at > 0;

-- owner: otp
-- One message with a code: what the send limits count, and how a message finds
-- its challenge. counted 0: Meta surely did not take it, the limits forget it.
-- again 1: the repeat of one that was never answered. prefix_key, ip_key: keyed
-- hashes. verified_at: when a right code ended its challenge (all its messages
-- count as verified). identity: Meta's hash of the person's identity key, as its
-- statuses report it. message_id of a code that went by the fallback hook: -id of
-- its row there.
CREATE TABLE code_sends (
  message_id   INTEGER PRIMARY KEY,
  challenge_id TEXT NOT NULL,
  gen          INTEGER NOT NULL,
  phone_key    TEXT NOT NULL,
  trusted      INTEGER NOT NULL DEFAULT 0,
  ip_key       TEXT NOT NULL DEFAULT '',
  prefix_key   TEXT NOT NULL,
  country      TEXT NOT NULL,
  at           INTEGER NOT NULL,
  counted      INTEGER NOT NULL DEFAULT 1,
  verified_at  INTEGER NOT NULL DEFAULT 0,
  again        INTEGER NOT NULL DEFAULT 0,
  identity     TEXT NOT NULL DEFAULT ''
);
CREATE INDEX code_sends_challenge ON code_sends (challenge_id);
CREATE INDEX code_sends_phone ON code_sends (phone_key, at);
CREATE INDEX code_sends_ip ON code_sends (ip_key, at) WHERE ip_key <> '';
CREATE INDEX code_sends_at ON code_sends (at);

-- owner: otp
-- How the delivery of a decoy would go: when each state is reached (as Meta says
-- it, in whole seconds) and when its callback would have come (seen). 0: never.
-- message_id is that of code_sends, negative: it is in no outbox.
CREATE TABLE code_decoys (
  message_id     INTEGER PRIMARY KEY CHECK (message_id < 0),
  created_at     INTEGER NOT NULL,
  claimed_at     INTEGER NOT NULL,
  accepted_at    INTEGER NOT NULL,
  sent_at        INTEGER NOT NULL DEFAULT 0,
  delivered_at   INTEGER NOT NULL DEFAULT 0,
  read_at        INTEGER NOT NULL DEFAULT 0,
  sent_seen      INTEGER NOT NULL DEFAULT 0,
  delivered_seen INTEGER NOT NULL DEFAULT 0,
  read_seen      INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX code_decoys_created ON code_decoys (created_at);

-- owner: otp
-- How many codes were sent and verified in each ten minutes, by scope: "all",
-- "country:BR", and what of the latter went by the fallback hook: "fallback:BR",
-- and what were decoys: "decoy:BR". bucket is the time in ten minutes; verified
-- counts in the bucket of the send. "hour:all" and so on hold the same by whole
-- hours, in the bucket where each begins: a day is summed from few rows.
CREATE TABLE code_counts (
  scope    TEXT NOT NULL,
  bucket   INTEGER NOT NULL,
  sent     INTEGER NOT NULL DEFAULT 0,
  verified INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (scope, bucket)
);
CREATE INDEX code_counts_bucket ON code_counts (bucket);

-- owner: otp
-- The same by number range: prefix_key is the keyed hash of a number without its
-- last four digits. Apart from code_counts, which every send reads a day of and
-- which is small so.
CREATE TABLE code_ranges (
  prefix_key TEXT NOT NULL,
  bucket     INTEGER NOT NULL,
  sent       INTEGER NOT NULL DEFAULT 0,
  verified   INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (prefix_key, bucket)
);
CREATE INDEX code_ranges_bucket ON code_ranges (bucket);

-- owner: otp
-- Rates (GCRA): the theoretical arrival time of a key's next request, in
-- microseconds. "client:<name>", "service", "verify-ip:<keyed hash>".
CREATE TABLE code_rates (
  key TEXT PRIMARY KEY,
  tat INTEGER NOT NULL
);
CREATE INDEX code_rates_tat ON code_rates (tat);

-- owner: otp
-- Wrong guesses, over all challenges of a phone.
CREATE TABLE code_failures (
  id        INTEGER PRIMARY KEY,
  phone_key TEXT NOT NULL,
  trusted   INTEGER NOT NULL DEFAULT 0,
  at        INTEGER NOT NULL
);
CREATE INDEX code_failures_phone ON code_failures (phone_key, at);
CREATE INDEX code_failures_at ON code_failures (at);

-- owner: otp
-- What is remembered of a phone beyond its challenges. failures counts wrong
-- guesses since the last right one. locked_at: too many; only a trusted device
-- or an operator opens it. muted_until: the person did not ask for a code.
-- identity: Meta's hash of the identity key as it was when a code was last
-- verified; identity_changed_at: Meta says it is another one now (137000).
CREATE TABLE code_phones (
  phone_key             TEXT PRIMARY KEY,
  failures              INTEGER NOT NULL DEFAULT 0,
  locked_at             INTEGER NOT NULL DEFAULT 0,
  muted_until           INTEGER NOT NULL DEFAULT 0,
  not_on_whatsapp_until INTEGER NOT NULL DEFAULT 0,
  identity              TEXT NOT NULL DEFAULT '',
  identity_changed_at   INTEGER NOT NULL DEFAULT 0,
  verified_at           INTEGER NOT NULL DEFAULT 0,
  changed_at            INTEGER NOT NULL
);
CREATE INDEX code_phones_changed ON code_phones (changed_at);

-- owner: otp
-- The most codes verified on one day of the last 14, by country: what an unusual
-- day is measured against.
CREATE TABLE code_baselines (
  country       TEXT PRIMARY KEY,
  most_verified INTEGER NOT NULL,
  at            INTEGER NOT NULL
);

-- owner: otp
-- One code that goes by the fallback hook; of a challenge at most one at a time.
-- Its row in code_sends, by which limits count it, is that of message -id.
-- reason: asked, not_on_whatsapp. doubts: requests that the receiver may have
-- taken although it did not say so; at most two are made. detail: what became of
-- the last one, or why it may not leave any more.
CREATE TABLE code_fallbacks (
  id           INTEGER PRIMARY KEY,
  challenge_id TEXT NOT NULL,
  gen          INTEGER NOT NULL,
  phone_key    TEXT NOT NULL,
  country      TEXT NOT NULL,
  channel      TEXT NOT NULL,
  reason       TEXT NOT NULL,
  state        TEXT NOT NULL CHECK (state IN ('queued','sending','sent','failed','unknown','expired','refused')),
  doubts       INTEGER NOT NULL DEFAULT 0,
  detail       TEXT NOT NULL DEFAULT '',
  not_before   INTEGER NOT NULL,
  at           INTEGER NOT NULL,
  ended_at     INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX code_fallbacks_challenge ON code_fallbacks (challenge_id, gen);
CREATE INDEX code_fallbacks_phone ON code_fallbacks (phone_key, at);
CREATE INDEX code_fallbacks_due ON code_fallbacks (not_before) WHERE state = 'queued';
CREATE INDEX code_fallbacks_sending ON code_fallbacks (id) WHERE state = 'sending';
CREATE INDEX code_fallbacks_ended ON code_fallbacks (ended_at) WHERE ended_at > 0;
