-- Under which name a service is reached: a label under the platform's base domain.
CREATE TABLE hostname (
    host TEXT NOT NULL PRIMARY KEY,
    service_id TEXT NOT NULL REFERENCES service (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    CONSTRAINT hostname_service_key UNIQUE (service_id)
);
