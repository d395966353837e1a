-- Images being made, or made. recipe and settings are JSON objects: from what, and how. Lists are
-- read without the settings, which may be large. What a build was made for may be deleted before
-- it; its image stays the organization's.
CREATE TABLE build (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
    project_id TEXT NOT NULL,
    service_id TEXT NOT NULL,
    status TEXT NOT NULL,
    recipe TEXT NOT NULL,
    settings TEXT NOT NULL,
    image_name TEXT NOT NULL,
    image_tag TEXT NOT NULL,
    progress BIGINT NOT NULL,
    builder TEXT NOT NULL,
    commit_hash TEXT NOT NULL,
    digest TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    error TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_email TEXT NOT NULL,
    started_at BIGINT,
    completed_at BIGINT,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX build_newest ON build (organization_id, created_at, id);
CREATE INDEX build_of_service ON build (service_id, created_at, id);
CREATE INDEX build_of_project ON build (project_id, created_at, id);
CREATE INDEX build_image ON build (organization_id, image_name, image_tag, completed_at)
    WHERE status = 'success';
CREATE INDEX build_unfinished ON build (organization_id) WHERE completed_at IS NULL;
CREATE INDEX build_digest ON build (digest);
