-- Where the configuration kept as code comes from: `ConfigSource` in domain/src/project/event.rs.
ALTER TABLE projects ADD COLUMN config_source jsonb NOT NULL DEFAULT '{"type": "unlinked"}';
