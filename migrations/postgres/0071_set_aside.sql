-- Events that a subscription passed over because this version cannot read them: of an unknown type,
-- written by a newer version, or sealed and damaged. They are handed over once they can be read.
CREATE TABLE set_aside (
    subscription text NOT NULL,
    position bigint NOT NULL,
    -- Where the event is found again: the log has an index of project and position.
    project_id text NOT NULL,
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    sequence bigint NOT NULL,
    event_type text NOT NULL,
    event_version text NOT NULL,
    -- In words, and without anything of the payload.
    reason text NOT NULL,
    -- Whether the subscription has done all it does with the event: type and ids were enough.
    is_taken boolean NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subscription, position)
);
