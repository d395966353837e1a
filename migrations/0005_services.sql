-- What projects run. Texts that are not set are empty; environment_variables is a JSON object.
CREATE TABLE service (
    id TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    environment_id TEXT NOT NULL REFERENCES environment (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    source_kind TEXT NOT NULL,
    repository TEXT NOT NULL,
    branch TEXT NOT NULL,
    root_directory TEXT NOT NULL,
    dockerfile TEXT NOT NULL,
    image TEXT NOT NULL,
    builder TEXT NOT NULL,
    build_command TEXT NOT NULL,
    start_command TEXT NOT NULL,
    environment_variables TEXT NOT NULL,
    cpu TEXT NOT NULL,
    memory TEXT NOT NULL,
    storage TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT service_name_key UNIQUE (project_id, name)
);

CREATE INDEX service_environment ON service (environment_id);
