-- The audit trail. It outlives what it tells of, so nothing in it refers to another table.
-- changes is a JSON array of [field, before, after].
CREATE TABLE event (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_email TEXT NOT NULL,
    resource TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    action TEXT NOT NULL,
    changes TEXT NOT NULL,
    request_id TEXT NOT NULL,
    client_address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    previous_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    CONSTRAINT event_sequence_key UNIQUE (organization_id, sequence)
);

CREATE INDEX event_newest ON event (actor_id, created_at, id);
CREATE INDEX event_resource ON event (actor_id, resource_id, created_at, id);

-- Where the chain of an organization ends. A writer holds this row until its transaction ends, so
-- that no two take the same place. It is a table of its own so that whoever may append to the
-- trail need not be given the right to change organizations.
CREATE TABLE event_chain (
    organization_id TEXT NOT NULL PRIMARY KEY,
    sequence BIGINT NOT NULL,
    hash TEXT NOT NULL
);
