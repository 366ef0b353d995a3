-- How fast campaigns send, and what stops them by itself. The rules of 00001
-- hold here as well.

-- +goose Up

-- What Meta holds back for its quality assessment: counted at every start.
CREATE INDEX messages_held ON messages (id) WHERE state = 'accepted_held';

-- throttle is JSON ('' for none): per_day messages on a local day of zone, and a
-- ramp that begins with ramp_start messages a second and doubles every
-- double_every_ms. first_at: when the first message of a stream with a ramp left.
ALTER TABLE streams ADD COLUMN throttle TEXT NOT NULL DEFAULT '';
ALTER TABLE streams ADD COLUMN first_at INTEGER NOT NULL DEFAULT 0;

-- owner: outbox
-- How many messages of a campaign left, or may have left, on a local day of its
-- zone ("2026-11-27"); of campaigns with a limit per day.
CREATE TABLE campaign_days (
  campaign_id TEXT NOT NULL,
  day         TEXT NOT NULL,
  n           INTEGER NOT NULL,
  PRIMARY KEY (campaign_id, day)
);
