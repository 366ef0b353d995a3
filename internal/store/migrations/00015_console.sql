-- Who may use the web console. The rules of 00001 hold here as well.

-- +goose Up

-- owner: access
-- People with a password. password is argon2id in the PHC string form; changed_at
-- tells when it or the role was changed, seen_at when he was last there, to within
-- a minute; disabled_at is 0 while he may come in.
CREATE TABLE operators (
  name        TEXT PRIMARY KEY,
  role        TEXT NOT NULL CHECK (role IN ('viewer','operator','approver')),
  password    TEXT NOT NULL,
  created_at  INTEGER NOT NULL,
  created_by  TEXT NOT NULL,
  changed_at  INTEGER NOT NULL,
  seen_at     INTEGER NOT NULL DEFAULT 0,
  disabled_at INTEGER NOT NULL DEFAULT 0
);

-- owner: access
-- Who is in. hash is the SHA-256 of the token that the browser has (256 random
-- bits), hex. name is the operator's, that of the client whose API key key_id is,
-- or that of the machine's user who asked for a link. What somebody may do is
-- asked of the operator and the key anew with every request. expires_at: at the
-- latest 12 hours after seen_at, and 7 days after created_at.
CREATE TABLE sessions (
  hash       TEXT PRIMARY KEY,
  how        TEXT NOT NULL CHECK (how IN ('password','key','link')),
  name       TEXT NOT NULL,
  key_id     TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  seen_at    INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
);
CREATE INDEX sessions_of ON sessions (how, name);
CREATE INDEX sessions_expires ON sessions (expires_at);

-- owner: access
-- Links into the console, each for one time: hash as above, actor the machine's
-- user who asked for it.
CREATE TABLE login_links (
  hash       TEXT PRIMARY KEY,
  actor      TEXT NOT NULL,
  expires_at INTEGER NOT NULL
);
CREATE INDEX login_links_expires ON login_links (expires_at);
