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

-- owner: campaigns
-- What the guard of a campaign has seen of a run, since it began or since
-- somebody resumed the campaign: messages that Meta answered (sample), of those
-- that failed, by answer or by status, and whose person stopped such messages.
-- quality: the number's rating with which somebody resumed ('' for none).
-- events: up to which of the consent events have been looked at.
CREATE TABLE guards (
  run_id      INTEGER PRIMARY KEY,
  campaign_id TEXT NOT NULL,
  since       INTEGER NOT NULL,
  sample      INTEGER NOT NULL DEFAULT 0,
  failed      INTEGER NOT NULL DEFAULT 0,
  blocked     INTEGER NOT NULL DEFAULT 0,
  quality     TEXT NOT NULL DEFAULT '',
  events      INTEGER NOT NULL
);
CREATE INDEX guards_campaign ON guards (campaign_id);
