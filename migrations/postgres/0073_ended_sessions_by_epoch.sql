-- Ended sessions are followed in the order of the log, which begins with the epoch.
DROP INDEX events_session_ended;
CREATE INDEX events_session_ended ON events (epoch, transaction) WHERE event_type = 'SessionEnded';
