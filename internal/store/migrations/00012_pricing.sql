-- +goose Up

-- owner: conversations
-- What Meta itself said of a message's conversation and price, verbatim. id is
-- the message's; a foreign message, known by its wamid alone, has one of its
-- own. So the rows of our messages lie in the order of the messages, and name
-- nobody.
CREATE TABLE message_prices (
  id                  INTEGER PRIMARY KEY,
  wamid               TEXT NOT NULL DEFAULT '',
  model               TEXT NOT NULL DEFAULT '',
  type                TEXT NOT NULL DEFAULT '',
  category            TEXT NOT NULL DEFAULT '',
  billable            TEXT NOT NULL DEFAULT '',
  conversation_id     TEXT NOT NULL DEFAULT '',
  conversation_origin TEXT NOT NULL DEFAULT '',
  conversation_ends   INTEGER NOT NULL DEFAULT 0,
  at                  INTEGER NOT NULL
);
CREATE UNIQUE INDEX message_prices_wamid ON message_prices (wamid) WHERE wamid <> '';

INSERT INTO message_prices (id, wamid, model, type, category, billable, conversation_id, conversation_origin, conversation_ends, at)
  SELECT m.id, '', p.model, p.type, p.category, p.billable, p.conversation_id, p.conversation_origin, p.conversation_ends, p.at
  FROM message_pricing p JOIN messages m ON m.id = p.message_id WHERE p.message_id > 0;
-- Ids of messages are far above these.
INSERT INTO message_prices (id, wamid, model, type, category, billable, conversation_id, conversation_origin, conversation_ends, at)
  SELECT 0 - ROW_NUMBER() OVER (ORDER BY p.wamid), p.wamid, p.model, p.type, p.category, p.billable, p.conversation_id, p.conversation_origin, p.conversation_ends, p.at
  FROM message_pricing p WHERE p.message_id = 0;
DROP TABLE message_pricing;
