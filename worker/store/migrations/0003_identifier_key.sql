-- The key of all fingerprints of identifiers, known by what it makes of a constant: with another key
-- one identifier would come to belong to two members, and who is known would not be found. It is
-- recorded with the first identifier and stays, as repeats are found by their fingerprints for good.
CREATE TABLE points.identifier_key (
    id boolean NOT NULL DEFAULT TRUE,
    digest bytea NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT identifier_key_pkey PRIMARY KEY (id),
    CONSTRAINT identifier_key_is_one CHECK (id)
);

GRANT SELECT ON points.identifier_key TO points_worker;
