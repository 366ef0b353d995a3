-- The data model of janela, and its documentation. Table names are a public
-- contract. Above each table stands its owner: the one package that writes it.
-- "personal" marks tables that hold personal data. Times are integer
-- milliseconds UTC, 0 where "not yet"; booleans are 0 or 1; JSON is text.
-- Only what SQLite and PostgreSQL both understand is used here.

-- +goose Up

-- owner: store
-- One row per setting of the database itself: "db" is the random text that
-- callback ids carry, "id_ceiling" the highest message id reserved so far,
-- "clock" the latest instant (ms), to within some seconds.
CREATE TABLE settings (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

-- owner: contacts
-- A person. root is the contact itself, or the lower contact it was joined to
-- when a learnt pair showed that both are one person; always flat.
CREATE TABLE contacts (
  id         INTEGER PRIMARY KEY,
  root       INTEGER NOT NULL,
  created_at INTEGER NOT NULL
);
CREATE INDEX contacts_root ON contacts (root);

-- owner: contacts
-- personal
-- Everything by which Meta or the business names a contact. match_key is the
-- wide key by which a STOP reaches every spelling of a number ('' for none).
CREATE TABLE identities (
  value      TEXT NOT NULL,
  kind       TEXT NOT NULL CHECK (kind IN ('phone','wa_id','bsuid','parent_bsuid')),
  contact_id INTEGER NOT NULL,
  match_key  TEXT NOT NULL DEFAULT '',
  first_seen INTEGER NOT NULL,
  last_seen  INTEGER NOT NULL,
  PRIMARY KEY (value, kind)
);
CREATE INDEX identities_contact ON identities (contact_id);
CREATE INDEX identities_match ON identities (match_key) WHERE match_key <> '';

-- owner: optin
-- personal
-- The consent ledger, append only: what a contact granted or revoked, when, by
-- what means. at is when the person did it, recorded_at when we wrote it down.
-- evidence is JSON (text shown, its version, file and line, message, …).
CREATE TABLE consent_events (
  id          INTEGER PRIMARY KEY,
  contact_id  INTEGER NOT NULL,
  category    TEXT NOT NULL CHECK (category IN ('marketing','utility','authentication')),
  kind        TEXT NOT NULL CHECK (kind IN ('grant','revoke')),
  scope       TEXT NOT NULL DEFAULT '*',
  purpose     TEXT NOT NULL DEFAULT '',
  source      TEXT NOT NULL,
  evidence    TEXT NOT NULL DEFAULT '{}',
  actor       TEXT NOT NULL DEFAULT '',
  at          INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL
);
CREATE INDEX consent_events_contact ON consent_events (contact_id, id);

-- owner: optin
-- What the ledger adds up to: the latest grant and the latest revocation per
-- contact, category and scope. scope is '*', the name of a number, a business
-- unit, or '@meta' for the block a person set in WhatsApp itself.
CREATE TABLE consents (
  contact_id   INTEGER NOT NULL,
  category     TEXT NOT NULL CHECK (category IN ('marketing','utility','authentication')),
  scope        TEXT NOT NULL DEFAULT '*',
  granted_at   INTEGER NOT NULL DEFAULT 0,
  grant_event  INTEGER NOT NULL DEFAULT 0,
  revoked_at   INTEGER NOT NULL DEFAULT 0,
  revoke_event INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (contact_id, category, scope)
);

-- owner: optin
-- Files of consents that were imported, by content: importing again changes
-- nothing. report is JSON (rows, granted, revoked, unchanged, rejected).
CREATE TABLE consent_imports (
  id         INTEGER PRIMARY KEY,
  name       TEXT NOT NULL,
  hash       TEXT NOT NULL,
  source     TEXT NOT NULL,
  actor      TEXT NOT NULL,
  report     TEXT NOT NULL DEFAULT '{}',
  started_at INTEGER NOT NULL,
  ended_at   INTEGER NOT NULL DEFAULT 0
);

-- owner: account
-- What Meta last said of our templates. Identity is account, name, language.
-- hash covers category and components; missing is 1 when a listing no longer
-- had it.
CREATE TABLE templates (
  waba_id          TEXT NOT NULL,
  name             TEXT NOT NULL,
  language         TEXT NOT NULL,
  template_id      TEXT NOT NULL DEFAULT '',
  category         TEXT NOT NULL,
  status           TEXT NOT NULL,
  parameter_format TEXT NOT NULL DEFAULT 'POSITIONAL',
  components       TEXT NOT NULL DEFAULT '[]',
  quality          TEXT NOT NULL DEFAULT '',
  correct_category TEXT NOT NULL DEFAULT '',
  rejected_reason  TEXT NOT NULL DEFAULT '',
  ttl_seconds      INTEGER NOT NULL DEFAULT 0,
  hash             TEXT NOT NULL,
  missing          INTEGER NOT NULL DEFAULT 0,
  seen_at          INTEGER NOT NULL,
  changed_at       INTEGER NOT NULL,
  PRIMARY KEY (waba_id, name, language)
);

-- owner: account
-- The business's own sending numbers, as configured and as Meta reports them.
CREATE TABLE numbers (
  id              TEXT PRIMARY KEY,
  name            TEXT NOT NULL,
  waba_id         TEXT NOT NULL,
  unit            TEXT NOT NULL DEFAULT '',
  display         TEXT NOT NULL DEFAULT '',
  verified_name   TEXT NOT NULL DEFAULT '',
  status          TEXT NOT NULL DEFAULT '',
  quality         TEXT NOT NULL DEFAULT '',
  throughput      TEXT NOT NULL DEFAULT '',
  messaging_limit TEXT NOT NULL DEFAULT '',
  on_biz_app      INTEGER NOT NULL DEFAULT 0,
  seen_at         INTEGER NOT NULL DEFAULT 0
);

-- owner: account
-- Files uploaded to Meta, once per content and number; ids live 30 days.
CREATE TABLE media (
  number_id   TEXT NOT NULL,
  sha256      TEXT NOT NULL,
  media_id    TEXT NOT NULL,
  uploaded_at INTEGER NOT NULL,
  PRIMARY KEY (number_id, sha256)
);

-- owner: scheduler
-- A series of due slots. key is its owner's name for it ("campaign:<id>").
-- spec is JSON (at or cron, zone, skip dates, end, missed policy). through is
-- the instant up to which slots have been made.
CREATE TABLE schedules (
  key        TEXT PRIMARY KEY,
  spec       TEXT NOT NULL,
  active     INTEGER NOT NULL DEFAULT 1,
  through    INTEGER NOT NULL,
  created_at INTEGER NOT NULL
);

-- owner: scheduler
-- One firing of a schedule. civil is the local minute ("2026-11-27T09:00"):
-- unique per schedule and zone, so an hour that comes twice fires once.
CREATE TABLE slots (
  id           INTEGER PRIMARY KEY,
  schedule_key TEXT NOT NULL,
  civil        TEXT NOT NULL,
  zone         TEXT NOT NULL,
  due_at       INTEGER NOT NULL,
  state        TEXT NOT NULL CHECK (state IN ('due','fired','missed','skipped','cancelled')),
  note         TEXT NOT NULL DEFAULT '',
  settled_at   INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX slots_civil ON slots (schedule_key, civil, zone);
CREATE INDEX slots_due ON slots (due_at) WHERE state = 'due';

-- owner: campaigns
-- A definition's identity. current is the revision that runs, next the one
-- that waits (for approval, or for the running run to end).
-- states: active, paused (by whom and why), cancelled, finished.
CREATE TABLE campaigns (
  id           TEXT PRIMARY KEY,
  state        TEXT NOT NULL CHECK (state IN ('active','paused','cancelled','finished')),
  reason       TEXT NOT NULL DEFAULT '',
  actor        TEXT NOT NULL DEFAULT '',
  path         TEXT NOT NULL,
  current      INTEGER NOT NULL DEFAULT 0,
  next         INTEGER NOT NULL DEFAULT 0,
  created_at   INTEGER NOT NULL,
  changed_at   INTEGER NOT NULL
);

-- owner: campaigns
-- One content of a definition. hash covers the definition's bytes and, for a
-- one-off, its audience's and media's (frozen in the spool under their hashes).
-- plan_hash is what an approval names: it covers the template as well.
CREATE TABLE revisions (
  id            INTEGER PRIMARY KEY,
  campaign_id   TEXT NOT NULL,
  hash          TEXT NOT NULL,
  definition    TEXT NOT NULL,
  state         TEXT NOT NULL CHECK (state IN ('waiting_approval','approved','superseded')),
  plan_hash     TEXT NOT NULL DEFAULT '',
  submitted_by  TEXT NOT NULL,
  submitted_at  INTEGER NOT NULL,
  approved_by   TEXT NOT NULL DEFAULT '',
  approved_at   INTEGER NOT NULL DEFAULT 0,
  audience_hash TEXT NOT NULL DEFAULT '',
  media_hash    TEXT NOT NULL DEFAULT '',
  template_hash TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX revisions_hash ON revisions (campaign_id, hash);

-- owner: campaigns
-- One firing of a campaign's schedule, with recipients frozen at its start.
-- states: expanding (rows being admitted), sending, finished, missed (no
-- audience file, too late), failed (audience unusable), cancelled.
CREATE TABLE runs (
  id            INTEGER PRIMARY KEY,
  campaign_id   TEXT NOT NULL,
  revision_id   INTEGER NOT NULL,
  slot_id       INTEGER NOT NULL,
  civil         TEXT NOT NULL,
  state         TEXT NOT NULL CHECK (state IN ('expanding','sending','finished','missed','failed','cancelled')),
  note          TEXT NOT NULL DEFAULT '',
  stream_id     INTEGER NOT NULL DEFAULT 0,
  audience      TEXT NOT NULL DEFAULT '',
  audience_hash TEXT NOT NULL DEFAULT '',
  rows          INTEGER NOT NULL DEFAULT 0,
  admitted      INTEGER NOT NULL DEFAULT 0,
  rejected      INTEGER NOT NULL DEFAULT 0,
  duplicates    INTEGER NOT NULL DEFAULT 0,
  position      INTEGER NOT NULL DEFAULT 0,
  deadline      INTEGER NOT NULL DEFAULT 0,
  started_at    INTEGER NOT NULL,
  ended_at      INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX runs_slot ON runs (slot_id) WHERE slot_id > 0;
CREATE INDEX runs_campaign ON runs (campaign_id, id);
CREATE INDEX runs_open ON runs (id) WHERE state IN ('expanding','sending');

-- owner: campaigns
-- personal
-- Rows of an audience that could not be used, for the report: line number,
-- reason, and what was wrong in words without the full number.
CREATE TABLE rejects (
  run_id INTEGER NOT NULL,
  line   INTEGER NOT NULL,
  reason TEXT NOT NULL,
  detail TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (run_id, line)
);

-- owner: campaigns
-- once_per over all runs of a campaign: the hash of the key's cells, and the
-- message that carries the notice.
CREATE TABLE once_keys (
  campaign_id TEXT NOT NULL,
  key         TEXT NOT NULL,
  message_id  INTEGER NOT NULL,
  PRIMARY KEY (campaign_id, key)
);

-- owner: outbox
-- Messages that are stopped and paced alike. lane: 0 authentication, 1 utility
-- and service, 2 marketing. run_id 0 for single messages. template '' for
-- free-form. windows is JSON ('' for always). per_second 0 for no own limit.
-- not_approved: wait, skip or fail. template_hash: of the template its
-- parameters were made for ('' for any).
CREATE TABLE streams (
  id            INTEGER PRIMARY KEY,
  lane          INTEGER NOT NULL,
  number_id     TEXT NOT NULL,
  waba_id       TEXT NOT NULL,
  category      TEXT NOT NULL CHECK (category IN ('marketing','utility','authentication','service')),
  template      TEXT NOT NULL DEFAULT '',
  language      TEXT NOT NULL DEFAULT '',
  campaign_id   TEXT NOT NULL DEFAULT '',
  run_id        INTEGER NOT NULL DEFAULT 0,
  windows       TEXT NOT NULL DEFAULT '',
  per_second    REAL NOT NULL DEFAULT 0,
  not_approved  TEXT NOT NULL DEFAULT 'wait',
  template_hash TEXT NOT NULL DEFAULT '',
  dry_run       INTEGER NOT NULL DEFAULT 0,
  created_at    INTEGER NOT NULL
);
CREATE INDEX streams_campaign ON streams (campaign_id) WHERE campaign_id <> '';
CREATE UNIQUE INDEX streams_key ON streams (run_id, number_id, category, template, language, campaign_id);

-- owner: outbox
-- How many messages of a stream are in each state, by reason. Kept with every
-- transition, so that counting never walks the messages.
CREATE TABLE tallies (
  stream_id INTEGER NOT NULL,
  state     TEXT NOT NULL,
  reason    TEXT NOT NULL DEFAULT '',
  n         INTEGER NOT NULL,
  PRIMARY KEY (stream_id, state, reason)
);
CREATE INDEX tallies_queued ON tallies (stream_id) WHERE state = 'queued' AND n > 0;

-- owner: outbox
-- personal
-- One row per recipient and template (or text): the outbox. address is where
-- it goes; params its rendered components (or the text); both are personal.
-- contact_id 0: the recipient is unknown to contacts (refused, no_opt_in).
-- reason: of a refusal, cancellation or failure. code: Meta's error code.
CREATE TABLE messages (
  id           INTEGER PRIMARY KEY,
  stream_id    INTEGER NOT NULL,
  run_id       INTEGER NOT NULL DEFAULT 0,
  contact_id   INTEGER NOT NULL DEFAULT 0,
  address      TEXT NOT NULL,
  kind         TEXT NOT NULL DEFAULT 'phone',
  params       TEXT NOT NULL DEFAULT '',
  reply_to     TEXT NOT NULL DEFAULT '',
  line         INTEGER NOT NULL DEFAULT 0,
  external_id  TEXT NOT NULL DEFAULT '',
  state        TEXT NOT NULL CHECK (state IN ('queued','sending','accepted','accepted_held','sent','delivered','read',
                 'unknown','failed','presumed_expired','refused','cancelled','expired')),
  reason       TEXT NOT NULL DEFAULT '',
  code         INTEGER NOT NULL DEFAULT 0,
  attempt      INTEGER NOT NULL DEFAULT 0,
  not_before   INTEGER NOT NULL DEFAULT 0,
  deadline     INTEGER NOT NULL DEFAULT 0,
  created_at   INTEGER NOT NULL,
  claimed_at   INTEGER NOT NULL DEFAULT 0,
  accepted_at  INTEGER NOT NULL DEFAULT 0,
  sent_at      INTEGER NOT NULL DEFAULT 0,
  delivered_at INTEGER NOT NULL DEFAULT 0,
  read_at      INTEGER NOT NULL DEFAULT 0,
  failed_at    INTEGER NOT NULL DEFAULT 0,
  ended_at     INTEGER NOT NULL DEFAULT 0,
  held         INTEGER NOT NULL DEFAULT 0,
  in_window    INTEGER NOT NULL DEFAULT 0,
  wamid        TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX messages_once ON messages (contact_id, run_id) WHERE contact_id > 0 AND run_id > 0;
CREATE INDEX messages_contact ON messages (contact_id, id) WHERE contact_id > 0 AND run_id = 0;
CREATE INDEX messages_run ON messages (run_id, id) WHERE run_id > 0;
CREATE INDEX messages_queued ON messages (stream_id, not_before, id) WHERE state = 'queued';
CREATE INDEX messages_deadline ON messages (deadline) WHERE state = 'queued' AND deadline > 0;
CREATE INDEX messages_sending ON messages (id) WHERE state = 'sending';
CREATE INDEX messages_unknown ON messages (id) WHERE state = 'unknown';
CREATE UNIQUE INDEX messages_wamid ON messages (wamid) WHERE wamid <> '';

-- owner: outbox
-- Messages that somebody else sent from our numbers (a chatbot, an agent):
-- known by their signed statuses. They count in conversations and budgets,
-- never in campaigns. category '' opens nothing.
CREATE TABLE foreign_messages (
  wamid        TEXT PRIMARY KEY,
  number_id    TEXT NOT NULL,
  contact_id   INTEGER NOT NULL,
  category     TEXT NOT NULL DEFAULT '',
  seen_at      INTEGER NOT NULL,
  sent_at      INTEGER NOT NULL DEFAULT 0,
  delivered_at INTEGER NOT NULL DEFAULT 0,
  read_at      INTEGER NOT NULL DEFAULT 0,
  failed_at    INTEGER NOT NULL DEFAULT 0,
  in_window    INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX foreign_messages_contact ON foreign_messages (contact_id);

-- owner: outbox
-- Something stops streams. target is '' (all), an account id, a number id, a
-- category, "account/name/language" of a template, or a campaign id.
-- until 0: until lifted. probe 1: at until one real message goes through, and
-- what becomes of it lifts the hold or doubles its time (tries counts).
CREATE TABLE holds (
  id        INTEGER PRIMARY KEY,
  scope     TEXT NOT NULL CHECK (scope IN ('all','account','number','category','template','campaign')),
  target    TEXT NOT NULL DEFAULT '',
  reason    TEXT NOT NULL,
  detail    TEXT NOT NULL DEFAULT '',
  actor     TEXT NOT NULL,
  since     INTEGER NOT NULL,
  until     INTEGER NOT NULL DEFAULT 0,
  probe     INTEGER NOT NULL DEFAULT 0,
  tries     INTEGER NOT NULL DEFAULT 0,
  lifted_at INTEGER NOT NULL DEFAULT 0,
  lifted_by TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX holds_open ON holds (scope, target, reason) WHERE lifted_at = 0;

-- owner: conversations
-- 24 h from the first message the business sent, in one category, per number
-- and contact; fixed length (72 h for a free entry point). A pure function of
-- message rows and inbound messages. provisional: Meta's time is not known yet.
CREATE TABLE conversations (
  id               INTEGER PRIMARY KEY,
  number_id        TEXT NOT NULL,
  contact_id       INTEGER NOT NULL,
  category         TEXT NOT NULL CHECK (category IN ('marketing','utility','authentication','service')),
  origin           TEXT NOT NULL CHECK (origin IN ('business','user')),
  free_entry_point INTEGER NOT NULL DEFAULT 0,
  opened_at        INTEGER NOT NULL,
  expires_at       INTEGER NOT NULL,
  closed_at        INTEGER NOT NULL DEFAULT 0,
  provisional      INTEGER NOT NULL DEFAULT 0,
  opened_by        INTEGER NOT NULL DEFAULT 0,
  opened_by_wamid  TEXT NOT NULL DEFAULT '',
  inbound_id       INTEGER NOT NULL DEFAULT 0,
  messages_out     INTEGER NOT NULL DEFAULT 0,
  messages_in      INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX conversations_key ON conversations (contact_id, number_id, opened_at, category);
CREATE INDEX conversations_expires ON conversations (expires_at);

-- owner: conversations
-- What people wrote to us: when, on which number, and what it answers. The
-- text stays in intake's raw callbacks. counts 0: opens no service window.
CREATE TABLE inbound_messages (
  id         INTEGER PRIMARY KEY,
  wamid      TEXT NOT NULL,
  number_id  TEXT NOT NULL,
  contact_id INTEGER NOT NULL,
  type       TEXT NOT NULL,
  at         INTEGER NOT NULL,
  counts     INTEGER NOT NULL DEFAULT 1,
  referral   INTEGER NOT NULL DEFAULT 0,
  answers    INTEGER NOT NULL DEFAULT 0,
  answers_wamid TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX inbound_messages_wamid ON inbound_messages (wamid);
CREATE INDEX inbound_messages_contact ON inbound_messages (contact_id, number_id, at);

-- owner: conversations
-- 24 h from the user's last message: free-form text is allowed inside.
CREATE TABLE service_windows (
  number_id  TEXT NOT NULL,
  contact_id INTEGER NOT NULL,
  last_at    INTEGER NOT NULL,
  closes_at  INTEGER NOT NULL,
  PRIMARY KEY (contact_id, number_id)
);

-- owner: conversations
-- What Meta itself said of a message's conversation and price, verbatim.
CREATE TABLE message_pricing (
  wamid               TEXT PRIMARY KEY,
  message_id          INTEGER NOT NULL DEFAULT 0,
  model               TEXT NOT NULL DEFAULT '',
  type                TEXT NOT NULL DEFAULT '',
  category            TEXT NOT NULL DEFAULT '',
  billable            TEXT NOT NULL DEFAULT '',
  conversation_id     TEXT NOT NULL DEFAULT '',
  conversation_origin TEXT NOT NULL DEFAULT '',
  conversation_ends   INTEGER NOT NULL DEFAULT 0,
  at                  INTEGER NOT NULL
);

-- owner: intake
-- personal
-- Callbacks as Meta posted them, stored before the 200. hash is over the raw
-- bytes: a callback that comes again is stored once.
CREATE TABLE callbacks (
  id          INTEGER PRIMARY KEY,
  received_at INTEGER NOT NULL,
  hash        TEXT NOT NULL,
  body        BLOB NOT NULL,
  state       TEXT NOT NULL CHECK (state IN ('stored','applied','failed')),
  note        TEXT NOT NULL DEFAULT '',
  applied_at  INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX callbacks_hash ON callbacks (hash);
CREATE INDEX callbacks_stored ON callbacks (id) WHERE state = 'stored';

-- owner: access
-- Who did what: every change by file, command line, API or console. Append only.
CREATE TABLE audit (
  id      INTEGER PRIMARY KEY,
  at      INTEGER NOT NULL,
  actor   TEXT NOT NULL,
  command TEXT NOT NULL,
  object  TEXT NOT NULL DEFAULT '',
  before  TEXT NOT NULL DEFAULT '',
  after   TEXT NOT NULL DEFAULT ''
);
