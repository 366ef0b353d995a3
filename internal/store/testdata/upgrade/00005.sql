INSERT INTO consent_reviews (id, contact_id, number_id, wamid, text, rule, language, said_at, opened_at, state) VALUES (131, 2, '200000000000001', 'wamid.r', 'chega', 'r1', 'pt', 1795190405000, 1795190405000, 'open');
UPDATE hearing SET heard_at = 1795190405000 WHERE id = 1;
