-- A component's role marks the record of its own request through this function alone: it can
-- neither read the records nor mark one whose id it was not given.
CREATE FUNCTION host_mark_committed (record_id TEXT) RETURNS BIGINT
LANGUAGE sql
SECURITY DEFINER
SET search_path FROM CURRENT
AS 'UPDATE host_idempotency SET committed = 1 WHERE id = record_id RETURNING committed';

REVOKE EXECUTE ON FUNCTION host_mark_committed (TEXT) FROM PUBLIC;
