-- What owns projects, and who belongs to it. A user has at most one personal organization.
CREATE TABLE organization (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    personal_of TEXT REFERENCES user_account (id) ON DELETE CASCADE,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT organization_personal_of_key UNIQUE (personal_of)
);

CREATE TABLE membership (
    user_id TEXT NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    organization_id TEXT NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, organization_id)
);

CREATE INDEX membership_organization ON membership (organization_id);
