-- The host's own records. Their names begin with host_, and no component is ever granted one.
-- Moments are microseconds since the Unix epoch.

-- Tokens that are refused although they have not expired.
CREATE TABLE host_revoked_token (
    token_id TEXT PRIMARY KEY,
    expires_at_us BIGINT NOT NULL
);

-- Subjects whose tokens are refused when they were issued before a moment.
CREATE TABLE host_revoked_subject (
    subject TEXT PRIMARY KEY,
    issued_before_us BIGINT NOT NULL
);

-- Long-lived tokens for programs; only the SHA-256 of a token is kept.
CREATE TABLE host_api_token (
    hash TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    subject TEXT NOT NULL,
    created_at_us BIGINT NOT NULL,
    expires_at_us BIGINT
);

-- What a client's Idempotency-Key stands for. `committed` is set in the same transaction as the
-- writes of the request, the answer after it. Past `running_until_us` the request has ended, with or
-- without an answer.
CREATE TABLE host_idempotency (
    id TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    running_until_us BIGINT NOT NULL,
    expires_at_us BIGINT NOT NULL,
    committed BIGINT NOT NULL DEFAULT 0,
    status BIGINT,
    headers TEXT,
    body BYTEA
);

CREATE INDEX host_idempotency_expires_at ON host_idempotency (expires_at_us);

-- Files of components, by the SHA-256 of their bytes.
CREATE TABLE host_artifact (
    digest TEXT PRIMARY KEY,
    bytes BYTEA NOT NULL,
    created_at_us BIGINT NOT NULL
);

-- What runs, and what ran before it.
CREATE TABLE host_component_release (
    component TEXT NOT NULL,
    state TEXT NOT NULL,
    digest TEXT NOT NULL REFERENCES host_artifact (digest),
    manifest TEXT NOT NULL,
    base_digest TEXT,
    version TEXT,
    activated_at_us BIGINT NOT NULL,
    PRIMARY KEY (component, state),
    CHECK (state IN ('current', 'previous'))
);

-- Who changed what runs.
CREATE TABLE host_release_history (
    sequence BIGINT PRIMARY KEY,
    component TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    digest TEXT,
    at_us BIGINT NOT NULL
);
