-- What the rules need beside balances and lots: what falls due, holds, awards, reversals, ordinals,
-- caps, operators, enrolment, erasure and identifiers.
--
-- What belongs to a member is keyed by (program_id, member_id) and stands under the member's lock.

-- `due_at` is a time before which nothing of the member falls due: no lot, no hold, no deadline of
-- a request that waits. It may be early, never late. The index serves the sweep; an update that
-- leaves `due_at` as it was stays on its page (HOT) in spite of it.
ALTER TABLE points.members
ADD COLUMN due_at timestamptz,
ADD COLUMN has_streams boolean NOT NULL DEFAULT FALSE,
ADD COLUMN status text COLLATE "C" NOT NULL DEFAULT 'active',
ADD COLUMN enrolled_at timestamptz,
ADD CONSTRAINT members_status_known CHECK (status IN ('active', 'blocked', 'erased'));

UPDATE points.members AS member
SET due_at = next.expires_at
FROM (
    SELECT program_id, member_id, min(expires_at) AS expires_at
    FROM points.lots
    WHERE expires_at < 'infinity'
    GROUP BY program_id, member_id
) AS next
WHERE member.program_id = next.program_id AND member.member_id = next.member_id;

CREATE INDEX members_due ON points.members (due_at) WHERE due_at IS NOT NULL;

-- What is held is no part of any lot: it may expire under the hold, so it may exceed the balance.
ALTER TABLE points.wallets
ADD COLUMN held bigint NOT NULL DEFAULT 0,
ADD CONSTRAINT wallets_held_not_negative CHECK (held >= 0);

ALTER TABLE points.lots
ADD COLUMN award_id text COLLATE "C",
ADD COLUMN award_type text COLLATE "C",
ADD COLUMN promotion_id text COLLATE "C";

-- All that one request caused still stands under that request's id, numbered by step. Its own
-- outcome is the one with the fingerprint, no longer the last: requests that it released follow.
-- `subject` is the released request or lapsed hold that a line belongs to, null for what the
-- request itself did. `lots` are all the changes of lots where the answer cannot list them:
-- [lot id, points, expires_at or null, award id, award type, promotion id] each, in minor units.
ALTER TABLE points.journal
ADD COLUMN subject text COLLATE "C",
ADD COLUMN lots jsonb;

-- The open holds; one that is captured, released or lapsed is deleted.
CREATE TABLE points.holds (
    program_id text COLLATE "C" NOT NULL,
    member_id text COLLATE "C" NOT NULL,
    hold_id text COLLATE "C" NOT NULL,         -- the request id of the HOLD
    currency text COLLATE "C" NOT NULL,
    category text COLLATE "C" NOT NULL,
    points bigint NOT NULL,
    lapses_at timestamptz NOT NULL,
    CONSTRAINT holds_pkey PRIMARY KEY (program_id, member_id, hold_id),
    CONSTRAINT holds_points_positive CHECK (points > 0)
);

-- The awards that a member has got, also those used up, with the type each was given as.
CREATE TABLE points.awards (
    program_id text COLLATE "C" NOT NULL,
    member_id text COLLATE "C" NOT NULL,
    award_id text COLLATE "C" NOT NULL,
    award_type text COLLATE "C",
    CONSTRAINT awards_pkey PRIMARY KEY (program_id, member_id, award_id)
);

-- How much of a request has been reversed so far.
CREATE TABLE points.reversals (
    program_id text COLLATE "C" NOT NULL,
    member_id text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,      -- the one that was reversed
    points bigint NOT NULL,
    CONSTRAINT reversals_pkey PRIMARY KEY (program_id, member_id, request_id),
    CONSTRAINT reversals_points_positive CHECK (points > 0)
) WITH (fillfactor = 80);

-- The ordinals of a stream: `next` is due; `used` are the ranges [first, last] used up beyond it.
CREATE TABLE points.streams (
    program_id text COLLATE "C" NOT NULL,
    member_id text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    next bigint NOT NULL,
    used jsonb NOT NULL,
    CONSTRAINT streams_pkey PRIMARY KEY (program_id, member_id, stream),
    CONSTRAINT streams_next_positive CHECK (next > 0)
) WITH (fillfactor = 80);

-- Requests that came before their turn. One that has ended stays, without its body: `ended_by` is
-- the request with which it was decided and `ended_step` the step of its own outcome there.
CREATE TABLE points.early_requests (
    program_id text COLLATE "C" NOT NULL,
    member_id text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    ordinal bigint NOT NULL,
    body bytea,                                -- null once it has ended or its member is erased
    fingerprint bytea NOT NULL,
    publisher text COLLATE "C",
    is_trusted boolean NOT NULL,
    address jsonb,                             -- who waits for the answer, null for nobody
    deadline timestamptz NOT NULL,
    ended_by text COLLATE "C",
    ended_step smallint,
    CONSTRAINT early_requests_pkey PRIMARY KEY (program_id, member_id, request_id),
    CONSTRAINT early_requests_ordinal_positive CHECK (ordinal > 0),
    CONSTRAINT early_requests_end_told_whole CHECK (num_nulls(ended_by, ended_step) IN (0, 2)),
    CONSTRAINT early_requests_no_body_after_the_end CHECK (ended_by IS NULL OR body IS NULL)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX early_requests_waiting
ON points.early_requests (program_id, member_id, stream, ordinal) WHERE ended_by IS NULL;
CREATE INDEX early_requests_ended
ON points.early_requests (program_id, member_id, ended_by) WHERE ended_by IS NOT NULL;

-- What a wallet earned and spent on a day of the programme's zone, as caps count it.
CREATE TABLE points.day_sums (
    program_id text COLLATE "C" NOT NULL,
    member_id text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    category text COLLATE "C" NOT NULL,
    day date NOT NULL,
    earned bigint NOT NULL,
    spent bigint NOT NULL,
    CONSTRAINT day_sums_pkey PRIMARY KEY (program_id, member_id, currency, category, day),
    CONSTRAINT day_sums_not_negative CHECK (earned >= 0 AND spent >= 0)
) WITH (fillfactor = 80);

-- What an operator has moved on a day of the programme's zone, over all members: the one thing
-- that is locked beside members, after them, in key order.
CREATE TABLE points.operator_days (
    program_id text COLLATE "C" NOT NULL,
    operator text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    day date NOT NULL,
    points bigint NOT NULL DEFAULT 0,
    CONSTRAINT operator_days_pkey PRIMARY KEY (program_id, operator, currency, day),
    CONSTRAINT operator_days_points_not_negative CHECK (points >= 0)
) WITH (fillfactor = 80);

-- Which member an identifier belongs to. The identifier itself is stored nowhere: the fingerprint
-- is made with a key that the database does not know.
CREATE TABLE points.identifiers (
    program_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    member_id text COLLATE "C" NOT NULL,
    CONSTRAINT identifiers_pkey PRIMARY KEY (program_id, name, fingerprint)
);
CREATE INDEX identifiers_of_member ON points.identifiers (program_id, member_id);

-- Whom a request reached by an identifier, so that a repeat never reaches another member.
CREATE TABLE points.resolutions (
    program_id text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    member_id text COLLATE "C" NOT NULL,
    resolved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT resolutions_pkey PRIMARY KEY (program_id, fingerprint, request_id)
);

GRANT SELECT, INSERT, UPDATE ON
points.reversals, points.streams, points.early_requests, points.day_sums,
points.operator_days
TO points_worker;
GRANT SELECT, INSERT, DELETE ON points.holds TO points_worker;
GRANT SELECT, INSERT ON points.awards, points.resolutions TO points_worker;
GRANT SELECT ON points.identifiers TO points_worker;

-- Who erases a member takes this role: the only one that may change what the journal answers, and
-- nothing of it but what may be personal.
DO $$
BEGIN
    CREATE ROLE points_eraser NOLOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;
DO $$
DECLARE
    needed text := CASE
        WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER'
    END;
BEGIN
    IF NOT pg_has_role(CURRENT_USER, 'points_eraser', needed) THEN
        EXECUTE format('GRANT points_eraser TO %I', CURRENT_USER);
    END IF;
END
$$;
GRANT USAGE ON SCHEMA points TO points_eraser;
GRANT SELECT ON
points.members, points.journal, points.early_requests, points.identifiers
TO points_eraser;
GRANT UPDATE (status, due_at) ON points.members TO points_eraser;
GRANT UPDATE (outcome, lots) ON points.journal TO points_eraser;
GRANT UPDATE (body, deadline) ON points.early_requests TO points_eraser;
GRANT DELETE ON points.identifiers TO points_eraser;
