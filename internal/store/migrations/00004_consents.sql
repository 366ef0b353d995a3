-- The proof of consents: what makes a change of the ledger show. The rules of
-- 00001 hold here as well.

-- +goose Up

-- owner: optin
-- One seal for each line of the consent ledger, in the order of its ids: the
-- hash of its fields, and a keyed hash over that and the seal before it. The key
-- is in no database. seq has no gaps. ref: the consent event, or the forgetting.
-- evidence_hash: keyed hash of the event's evidence, which stays when the
-- evidence was blanked at a person's request. All hashes are 32 bytes.
CREATE TABLE consent_seals (
  seq           INTEGER PRIMARY KEY,
  kind          TEXT NOT NULL CHECK (kind IN ('event','forgetting')),
  ref           INTEGER NOT NULL,
  evidence_hash BLOB NOT NULL,
  digest        BLOB NOT NULL,
  mac           BLOB NOT NULL
);

-- owner: optin
-- That a contact was forgotten: its names are gone, and the evidence of its
-- events was blanked. Sealed as events are, so that nothing else may blank one.
CREATE TABLE forgettings (
  id         INTEGER PRIMARY KEY,
  contact_id INTEGER NOT NULL,
  actor      TEXT NOT NULL,
  at         INTEGER NOT NULL
);
CREATE INDEX forgettings_contact ON forgettings (contact_id, id);

-- owner: optin
-- Who must not come back by a list: keyed hashes of the names of the forgotten,
-- exact, and by the wide key of a number. The key is in no database. lifted_at:
-- the person agreed anew. They are part of what seals the forgetting.
CREATE TABLE suppressions (
  hash          TEXT NOT NULL,
  forgetting_id INTEGER NOT NULL,
  lifted_at     INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (hash, forgetting_id)
);
CREATE INDEX suppressions_forgetting ON suppressions (forgetting_id);

-- owner: optin
-- personal
-- Grants that count only when the person has confirmed them: which categories,
-- and the evidence so far, as JSON. The row goes when it was confirmed, or when
-- its time is over.
CREATE TABLE pending_consents (
  id         TEXT PRIMARY KEY,
  contact_id INTEGER NOT NULL,
  client     TEXT NOT NULL,
  grants     TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
);
CREATE INDEX pending_consents_contact ON pending_consents (contact_id);
CREATE INDEX pending_consents_expires ON pending_consents (expires_at);
