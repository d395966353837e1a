-- Variables of services that are sealed: a JSON object of names and envelopes.
ALTER TABLE service ADD COLUMN sealed_variables TEXT NOT NULL DEFAULT '{}';
