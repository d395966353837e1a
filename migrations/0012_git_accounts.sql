-- How users reach their repositories. token is sealed.
CREATE TABLE git_account (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    provider TEXT NOT NULL,
    name TEXT NOT NULL,
    token TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT git_account_provider_key UNIQUE (user_id, provider)
);
