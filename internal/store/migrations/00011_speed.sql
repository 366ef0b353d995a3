-- What a message costs. The rules of 00001 hold here as well.

-- +goose Up

-- Meta's ids come in no order: with an index on them every message writes a page
-- of its own. Whoever asks by one knows whose message it is.
DROP INDEX messages_wamid;
