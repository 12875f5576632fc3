-- The sessions that ended lately, whose access tokens are still to expire. Each node reads those of
-- the last minutes when it starts, by time, and follows the others, by transaction.
CREATE INDEX events_session_ended_at ON events (recorded_at) WHERE event_type = 'SessionEnded';
CREATE INDEX events_session_ended ON events (transaction) WHERE event_type = 'SessionEnded';
