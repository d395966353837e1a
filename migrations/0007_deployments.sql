-- Releases of services. release is a JSON object: what the service was when it was deployed.
CREATE TABLE deployment (
    id TEXT NOT NULL PRIMARY KEY,
    service_id TEXT NOT NULL REFERENCES service (id) ON DELETE CASCADE,
    status TEXT NOT NULL,
    triggered_by TEXT NOT NULL,
    commit_hash TEXT NOT NULL,
    branch TEXT NOT NULL,
    rollback_of TEXT NOT NULL,
    release TEXT NOT NULL,
    image_digest TEXT NOT NULL,
    error TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_email TEXT NOT NULL,
    started_at BIGINT,
    completed_at BIGINT,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX deployment_newest ON deployment (service_id, created_at, id);

-- What was done to carry a deployment out. Lines written in one transaction have the same moment,
-- and are told apart by their number.
CREATE TABLE deployment_log (
    deployment_id TEXT NOT NULL REFERENCES deployment (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (deployment_id, number)
);
