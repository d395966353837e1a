-- Work that was promised. lease_until is the moment from which another holder may take it.
CREATE TABLE operation (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL,
    service_id TEXT NOT NULL REFERENCES service (id) ON DELETE CASCADE,
    deployment_id TEXT NOT NULL REFERENCES deployment (id) ON DELETE CASCADE,
    step TEXT NOT NULL,
    step_since BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    deadline_at BIGINT NOT NULL,
    lease_holder TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    finished_at BIGINT,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX operation_deployment ON operation (deployment_id);
CREATE INDEX operation_of_service ON operation (service_id, created_at, id) WHERE finished_at IS NULL;
CREATE INDEX operation_due ON operation (due_at) WHERE finished_at IS NULL;
CREATE INDEX operation_unfinished ON operation (id) WHERE finished_at IS NULL;
