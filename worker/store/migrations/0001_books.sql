-- The books: members, wallets, lots and the journal, and what workers agree on.
--
-- Every key leads with (program_id, member_id) and no sequence is shared between members, so the
-- tables can be partitioned or distributed by member as they are. Amounts are integers in minor
-- units of their currency. Identifiers are compared byte by byte (COLLATE "C").

-- Workers take this role with SET ROLE: it can add to the journal but never change it.
-- Roles belong to the whole server, so another database's migration may have made it already.
DO $$
BEGIN
    CREATE ROLE points_worker NOLOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;
-- Since version 16, who makes a role belongs to it but may not act as it.
DO $$
DECLARE
    needed text := CASE
        WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER'
    END;
BEGIN
    IF NOT pg_has_role(CURRENT_USER, 'points_worker', needed) THEN
        EXECUTE format('GRANT points_worker TO %I', CURRENT_USER);
    END IF;
END
$$;

CREATE TABLE points.programs (
    program_id text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    document jsonb NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT programs_pkey PRIMARY KEY (program_id, version)
);

INSERT INTO points.programs (program_id, version, document) VALUES (
    'default', 1,
    '{"program_id": "default", "name": "Default programme", "status": "active",
      "time_zone": "UTC", "allow_negative": false,
      "currencies": [{"code": "points", "decimals": 0, "expiry": {"rule": "never"}}]}'
);

-- One row per member and programme. It is created and locked before anything else is looked at:
-- idempotency, sequence and clock all live under this one lock. The free space on each page lets
-- an update stay on its page (HOT).
CREATE TABLE points.members (
    program_id text COLLATE "C" NOT NULL,
    member_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL DEFAULT 0,
    last_recorded_at timestamptz,
    CONSTRAINT members_pkey PRIMARY KEY (program_id, member_id),
    CONSTRAINT members_sequence_not_negative CHECK (sequence >= 0)
) WITH (fillfactor = 80);

-- Balance = open lots - deficit (I4); the audit checks the sum, the table its parts.
CREATE TABLE points.wallets (
    program_id text COLLATE "C" NOT NULL,
    member_id text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    category text COLLATE "C" NOT NULL,
    balance bigint NOT NULL,
    deficit bigint NOT NULL,
    total bigint NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT wallets_pkey PRIMARY KEY (program_id, member_id, currency, category),
    CONSTRAINT wallets_deficit_not_negative CHECK (deficit >= 0),
    CONSTRAINT wallets_balance_not_below_deficit CHECK (balance >= -deficit),
    CONSTRAINT wallets_total_not_negative CHECK (total >= 0),
    CONSTRAINT wallets_version_positive CHECK (version > 0)
) WITH (fillfactor = 80);

-- What is left of each credit. The primary key is the order of use: soonest expiring first,
-- never expiring ('infinity') last, the oldest first among equals. No other index: one on what
-- is left would make every update of a lot a non-HOT one.
CREATE TABLE points.lots (
    program_id text COLLATE "C" NOT NULL,
    member_id text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    category text COLLATE "C" NOT NULL,
    expires_at timestamptz NOT NULL,
    lot_id bigint NOT NULL,            -- the member's sequence number of the credit
    points bigint NOT NULL,            -- what the credit put in
    remaining bigint NOT NULL,         -- an exhausted lot is deleted
    CONSTRAINT lots_pkey PRIMARY KEY (
        program_id, member_id, currency, category, expires_at, lot_id
    ),
    CONSTRAINT lots_remaining_within_points CHECK (remaining BETWEEN 1 AND points)
) WITH (fillfactor = 80);

-- The member's event stream, the idempotency record and the stored answer in one. All that one
-- request caused stands under that request's id, numbered by step; the last step is its own
-- outcome and the only one with a fingerprint.
CREATE TABLE points.journal (
    program_id text COLLATE "C" NOT NULL,
    member_id text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    step smallint NOT NULL,
    sequence bigint NOT NULL,
    status text COLLATE "C" NOT NULL,
    event_type text COLLATE "C",       -- null: the outcome makes no event and took no sequence
    error_key text COLLATE "C",
    currency text COLLATE "C",         -- null: no wallet was reached
    category text COLLATE "C",
    points bigint NOT NULL,
    balance bigint,                    -- of the wallet, after it
    total bigint,
    version bigint,
    fingerprint bytea,                 -- of the request's content; null: not a request's own
    recorded_at timestamptz NOT NULL,
    outcome bytea NOT NULL,            -- the answer as it was given, byte for byte
    CONSTRAINT journal_pkey PRIMARY KEY (program_id, member_id, request_id, step),
    CONSTRAINT journal_only_applied_moves_points CHECK (points = 0 OR status = 'APPLIED'),
    CONSTRAINT journal_wallet_facts_together CHECK (
        num_nulls(currency, category, balance, total, version) IN (0, 5)
    )
);
CREATE UNIQUE INDEX journal_sequence_used_once
ON points.journal (program_id, member_id, sequence) WHERE event_type IS NOT NULL;

-- What all workers of a broker must agree on. The newest generation is the one in force.
CREATE TABLE points.topology (
    generation integer NOT NULL,
    prefix text NOT NULL,
    partitions integer NOT NULL,
    prefetch integer NOT NULL,
    declared_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT topology_pkey PRIMARY KEY (generation),
    CONSTRAINT topology_partitions_within_buckets CHECK (partitions BETWEEN 1 AND 256),
    CONSTRAINT topology_prefetch_positive CHECK (prefetch > 0)
);

-- The message that a worker is trying alone because it may be what killed others: what still
-- stands here when a worker starts was in hand when one died.
CREATE TABLE points.suspects (
    queue text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,             -- SHA-256 of the message's id and body
    tries integer NOT NULL,
    tried_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT suspects_pkey PRIMARY KEY (queue, digest),
    CONSTRAINT suspects_tries_positive CHECK (tries > 0)
);

GRANT USAGE ON SCHEMA points TO points_worker;
GRANT SELECT ON points.programs, points.topology, points.migrations TO points_worker;
GRANT SELECT, INSERT, UPDATE ON points.members, points.wallets TO points_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON points.lots, points.suspects TO points_worker;
GRANT SELECT, INSERT ON points.journal TO points_worker;
