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
