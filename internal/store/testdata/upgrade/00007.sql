INSERT INTO campaign_days (campaign_id, day, n) VALUES ('aviso', '2026-11-20', 2);
INSERT INTO guards (run_id, campaign_id, since, sample, events) VALUES (41, 'aviso', 1795190400000, 0, 0);
UPDATE streams SET first_at = 1795190401000 WHERE id = 51;
