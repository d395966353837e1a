-- Databases that are kept for users. password is sealed; variables is a JSON object of names and
-- sealed values. One that is to be deleted stays until nothing is left of it.
CREATE TABLE managed_database (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organization (id),
    name TEXT NOT NULL,
    engine TEXT NOT NULL,
    version TEXT NOT NULL,
    plan TEXT NOT NULL,
    region TEXT NOT NULL,
    desired TEXT NOT NULL,
    status TEXT NOT NULL,
    error TEXT NOT NULL,
    image TEXT NOT NULL,
    image_digest TEXT NOT NULL,
    username TEXT NOT NULL,
    password TEXT NOT NULL,
    database_name TEXT NOT NULL,
    variables TEXT NOT NULL,
    address TEXT NOT NULL,
    restoring TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_email TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT managed_database_name_key UNIQUE (organization_id, name)
);

-- What databases were saved as. The archives themselves are files of the host, named by the id.
CREATE TABLE database_backup (
    id TEXT NOT NULL PRIMARY KEY,
    database_id TEXT NOT NULL REFERENCES managed_database (id) ON DELETE CASCADE,
    status TEXT NOT NULL,
    error TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_email TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    completed_at BIGINT
);

CREATE INDEX database_backup_newest ON database_backup (database_id, created_at, id);
