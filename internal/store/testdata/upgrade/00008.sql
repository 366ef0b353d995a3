UPDATE media SET refused = 1 WHERE media_id = '4711';
