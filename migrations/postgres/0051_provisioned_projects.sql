-- The hosting platform that made the project, until somebody claims it.
ALTER TABLE projects ADD COLUMN provisioned_by text;
