-- Images that users uploaded, served to everybody under an id that cannot be guessed. Events and
-- read models hold their URLs only; the erasure subscriber deletes those of erased subjects.
CREATE TABLE images (
    id uuid PRIMARY KEY,
    folder text NOT NULL,
    extension text NOT NULL,
    bytes bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
