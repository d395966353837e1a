-- Operations are about more than deployments: subject says what kind of thing, subject_id which
-- one. Those of one lane are carried out one after the other. service_id is set for what belongs
-- to a service, and goes with it.
CREATE TABLE operation_of_any (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    lane TEXT NOT NULL,
    service_id TEXT REFERENCES service (id) ON DELETE CASCADE,
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

INSERT INTO operation_of_any (id, organization_id, subject, subject_id, lane, service_id, step,
    step_since, attempts, due_at, deadline_at, lease_holder, lease_until, finished_at, revision,
    created_at)
SELECT id, organization_id, 'deployment', deployment_id, service_id, service_id, step,
    step_since, attempts, due_at, deadline_at, lease_holder, lease_until, finished_at, revision,
    created_at FROM operation;

DROP TABLE operation;

ALTER TABLE operation_of_any RENAME TO operation;

CREATE INDEX operation_service ON operation (service_id);
CREATE INDEX operation_of_lane ON operation (lane, created_at, id) WHERE finished_at IS NULL;
CREATE INDEX operation_due ON operation (due_at) WHERE finished_at IS NULL;
CREATE INDEX operation_unfinished ON operation (id) WHERE finished_at IS NULL;
