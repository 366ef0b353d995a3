-- How fast campaigns send, and what stops them by itself. The rules of 00001
-- hold here as well.

-- +goose Up

-- What Meta holds back for its quality assessment: counted at every start.
CREATE INDEX messages_held ON messages (id) WHERE state = 'accepted_held';
