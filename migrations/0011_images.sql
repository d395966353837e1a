-- Images of workloads that the embedded runtime runs, by the SHA-256 of their content, and the
-- names of those that were pushed to this host.
CREATE TABLE host_image (
    digest TEXT PRIMARY KEY,
    size_bytes BIGINT NOT NULL,
    content BYTEA NOT NULL,
    kept_at_us BIGINT NOT NULL
);

CREATE TABLE host_image_name (
    name TEXT PRIMARY KEY,
    digest TEXT NOT NULL REFERENCES host_image (digest),
    pushed_at_us BIGINT NOT NULL
);
