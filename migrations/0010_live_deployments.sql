-- The deployment that has a service's requests; null while none has.
ALTER TABLE service ADD COLUMN live_deployment_id TEXT;

CREATE INDEX service_live ON service (id) WHERE live_deployment_id IS NOT NULL;
