-- Open conversations, counted without walking them. The rules of 00001 hold here
-- as well.

-- +goose Up

-- owner: conversations
-- How many conversations of a category end in a minute (counted from 1970): what
-- is open now is what ends in the running minute or later. Kept with the
-- conversations; gone a week after.
CREATE TABLE conversation_ends (
  minute   INTEGER NOT NULL,
  category TEXT NOT NULL,
  n        INTEGER NOT NULL,
  PRIMARY KEY (minute, category)
);
-- None lasts longer than three days: what ends later than three days before the
-- last one does.
INSERT INTO conversation_ends (minute, category, n)
  SELECT CASE WHEN v.closed_at > 0 THEN v.closed_at ELSE v.expires_at END / 60000, v.category, COUNT(*) FROM conversations v
  WHERE v.expires_at > (SELECT COALESCE(MAX(l.expires_at), 0) FROM conversations l) - 259200000 GROUP BY 1, 2;
