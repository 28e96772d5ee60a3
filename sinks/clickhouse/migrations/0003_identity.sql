-- Why people are one: every decision about a link of two identifiers, and what operators undid.
-- A rebuild replays both, so they are the one thing derived that cannot be derived again from the
-- touchpoints alone; like all of an epoch they go only when a later epoch is shown.

CREATE TABLE IF NOT EXISTS {storage}.identity_links
(
    epoch UInt32 COMMENT 'Epoch that computed the row',
    position UInt64 COMMENT 'Offset in the log of links at which it was decided',
    lead_id UUID COMMENT 'Id of the stronger identifier',
    lead_kind LowCardinality(String) COMMENT 'Kind of the stronger identifier',
    lead_value String COMMENT 'Value of the stronger identifier, normalized',
    identifier_id UUID COMMENT 'Id of the weaker identifier',
    kind LowCardinality(String) COMMENT 'Kind of the weaker identifier',
    value String COMMENT 'Value of the weaker identifier, normalized',
    verdict LowCardinality(String) COMMENT 'holds, refused, voided (split) or withdrawn (open until a touch names both again)',
    reason LowCardinality(String) COMMENT 'Empty where it holds; refused: unique, limit, rate, split or source; voided: split; withdrawn: split or lift',
    split_id String COMMENT 'Command of an operator that voided or withdrew it, empty otherwise',
    source LowCardinality(String) COMMENT 'Configured source of the touch that named both',
    event_id String COMMENT 'Id of that touch',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When that touch happened, UTC',
    received_at DateTime64(3, 'UTC') COMMENT 'When that touch was received, UTC',
    decided_at DateTime64(3, 'UTC') COMMENT 'When this was decided, UTC',
    INDEX by_identifier identifier_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_split split_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY epoch
ORDER BY (epoch, lead_id, identifier_id, position)
COMMENT 'Every decision about a link; the one with the greatest position is the present one';

CREATE TABLE IF NOT EXISTS {storage}.identity_link_state
(
    epoch UInt32 COMMENT 'Epoch that computed the row',
    position UInt64 COMMENT 'Offset in the log of links at which it was decided',
    lead_id UUID COMMENT 'Id of the stronger identifier',
    lead_kind LowCardinality(String) COMMENT 'Kind of the stronger identifier',
    lead_value String COMMENT 'Value of the stronger identifier, normalized',
    identifier_id UUID COMMENT 'Id of the weaker identifier',
    kind LowCardinality(String) COMMENT 'Kind of the weaker identifier',
    value String COMMENT 'Value of the weaker identifier, normalized',
    verdict LowCardinality(String) COMMENT 'holds, refused, voided (split) or withdrawn (open until a touch names both again)',
    reason LowCardinality(String) COMMENT 'Empty where it holds; refused: unique, limit, rate, split or source; voided: split; withdrawn: split or lift',
    split_id String COMMENT 'Command of an operator that voided or withdrew it, empty otherwise',
    source LowCardinality(String) COMMENT 'Configured source of the touch that named both',
    event_id String COMMENT 'Id of that touch',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When that touch happened, UTC',
    received_at DateTime64(3, 'UTC') COMMENT 'When that touch was received, UTC',
    decided_at DateTime64(3, 'UTC') COMMENT 'When this was decided, UTC'
)
ENGINE = ReplacingMergeTree(position)
PARTITION BY epoch
ORDER BY (epoch, lead_id, identifier_id)
COMMENT 'The present decision about each link';

CREATE MATERIALIZED VIEW IF NOT EXISTS {storage}.identity_link_state_feed
TO {storage}.identity_link_state
(
    epoch UInt32 COMMENT 'Epoch that computed the row',
    position UInt64 COMMENT 'Offset in the log of links at which it was decided',
    lead_id UUID COMMENT 'Id of the stronger identifier',
    lead_kind LowCardinality(String) COMMENT 'Kind of the stronger identifier',
    lead_value String COMMENT 'Value of the stronger identifier, normalized',
    identifier_id UUID COMMENT 'Id of the weaker identifier',
    kind LowCardinality(String) COMMENT 'Kind of the weaker identifier',
    value String COMMENT 'Value of the weaker identifier, normalized',
    verdict LowCardinality(String) COMMENT 'holds, refused, voided (split) or withdrawn (open until a touch names both again)',
    reason LowCardinality(String) COMMENT 'Empty where it holds; refused: unique, limit, rate, split or source; voided: split; withdrawn: split or lift',
    split_id String COMMENT 'Command of an operator that voided or withdrew it, empty otherwise',
    source LowCardinality(String) COMMENT 'Configured source of the touch that named both',
    event_id String COMMENT 'Id of that touch',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When that touch happened, UTC',
    received_at DateTime64(3, 'UTC') COMMENT 'When that touch was received, UTC',
    decided_at DateTime64(3, 'UTC') COMMENT 'When this was decided, UTC'
)
AS SELECT
    epoch, position, lead_id, lead_kind, lead_value, identifier_id, kind, value, verdict, reason,
    split_id, source, event_id, occurred_at, received_at, decided_at
FROM {storage}.identity_links;

CREATE TABLE IF NOT EXISTS {storage}.identity_splits
(
    epoch UInt32 COMMENT 'Epoch that computed the row',
    position UInt64 COMMENT 'Offset in the log of links of the command',
    split_id String COMMENT 'Id of the command; commands that were given at once share it',
    action LowCardinality(String) COMMENT 'split or lift',
    identifier_id UUID COMMENT 'Id of the identifier that was split off',
    kind LowCardinality(String) COMMENT 'Kind of the identifier that was split off',
    value String COMMENT 'Value of the identifier that was split off, normalized',
    lead_id UUID COMMENT 'Id of the other end where one link was split, otherwise zeros',
    lead_kind LowCardinality(String) COMMENT 'Kind of the other end where one link was split, otherwise empty',
    lead_value String COMMENT 'Value of the other end where one link was split, otherwise empty',
    source LowCardinality(String) COMMENT 'Source whose touches may not make the link again, empty: none may',
    against_kinds Array(String) COMMENT 'Kinds of the identifiers that it was split from',
    against_values Array(String) COMMENT 'Values of the identifiers that it was split from, in the same order',
    voided UInt64 COMMENT 'Number of links that were undone, or by a lift opened again',
    moved UInt64 COMMENT 'Number of identifiers whose profile changed',
    note String COMMENT 'Why, in the words of the operator',
    commanded_at DateTime64(3, 'UTC') COMMENT 'When the operator gave the command, UTC',
    decided_at DateTime64(3, 'UTC') COMMENT 'When it was carried out, UTC'
)
ENGINE = ReplacingMergeTree
PARTITION BY epoch
ORDER BY (epoch, split_id, position)
COMMENT 'What operators split or lifted';

CREATE OR REPLACE VIEW {bi}.identity_links
(
    lead_kind LowCardinality(String) COMMENT 'Kind of the stronger identifier',
    lead_value String COMMENT 'Value of the stronger identifier, normalized',
    kind LowCardinality(String) COMMENT 'Kind of the weaker identifier',
    value String COMMENT 'Value of the weaker identifier, normalized',
    state LowCardinality(String) COMMENT 'holds, refused, voided (split) or withdrawn (open until a touch names both again)',
    reason LowCardinality(String) COMMENT 'Empty where it holds; refused: unique, limit, rate, split or source; voided: split; withdrawn: split or lift',
    source LowCardinality(String) COMMENT 'Configured source of the touch that named both',
    event_id String COMMENT 'Id of that touch',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When that touch happened, UTC',
    decided_at DateTime64(3, 'UTC') COMMENT 'When this was decided, UTC',
    split_id String COMMENT 'Command of an operator that voided or withdrew it, empty otherwise'
)
COMMENT 'Every link of two identifiers that a touch named together, as it stands now'
AS SELECT
    lead_kind, lead_value, kind, value, verdict AS state, reason, source, event_id, occurred_at,
    decided_at, split_id
FROM {storage}.identity_link_state FINAL
WHERE epoch = (SELECT max(epoch) FROM {storage}.epochs WHERE activated_at IS NOT NULL);

CREATE OR REPLACE VIEW {bi}.identity_splits
(
    split_id String COMMENT 'Id of the command; commands that were given at once share it',
    action LowCardinality(String) COMMENT 'split or lift',
    kind LowCardinality(String) COMMENT 'Kind of the identifier that was split off',
    value String COMMENT 'Value of the identifier that was split off, normalized',
    lead_kind LowCardinality(String) COMMENT 'Kind of the other end where one link was split, otherwise empty',
    lead_value String COMMENT 'Value of the other end where one link was split, otherwise empty',
    source LowCardinality(String) COMMENT 'Source whose touches may not make the link again, empty: none may',
    against Array(String) COMMENT 'The identifiers that it was split from, each KIND:VALUE',
    stands Bool COMMENT 'Whether it is a split that was not lifted since',
    voided UInt64 COMMENT 'Number of links that were undone, or by a lift opened again',
    moved UInt64 COMMENT 'Number of identifiers whose profile changed',
    note String COMMENT 'Why, in the words of the operator',
    commanded_at DateTime64(3, 'UTC') COMMENT 'When the operator gave the command, UTC',
    decided_at DateTime64(3, 'UTC') COMMENT 'When it was carried out, UTC'
)
COMMENT 'Every split and every lift by an operator, and whether it stands'
AS SELECT
    split_id,
    action,
    kind,
    value,
    lead_kind,
    lead_value,
    source,
    arrayMap((k, v) -> concat(k, ':', v), against_kinds, against_values) AS against,
    action = 'split' AND countIf(action = 'lift') OVER later = 0 AS stands,
    voided,
    moved,
    note,
    commanded_at,
    decided_at
FROM {storage}.identity_splits FINAL
WHERE epoch = (SELECT max(epoch) FROM {storage}.epochs WHERE activated_at IS NOT NULL)
-- A lift is of an identifier, or of one link, whatever the source it was split for.
WINDOW later AS
(
    PARTITION BY identifier_id, lead_id
    ORDER BY position ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
);

-- The own id of each identifier: whatever was ever a profile's id is one of these.
CREATE OR REPLACE VIEW {bi}.identities
(
    kind LowCardinality(String) COMMENT 'Kind of the identifier',
    value String COMMENT 'Value of the identifier, normalized',
    profile_id UUID COMMENT 'Profile that the identifier belongs to now',
    linked_at DateTime64(3, 'UTC') COMMENT 'Since when it belongs there, UTC',
    identifier_id UUID COMMENT 'Id of the identifier; every id that a profile ever had is that of an identifier'
)
COMMENT 'Every identifier and its present profile'
AS SELECT kind, value, profile_id, linked_at, identifier_id
FROM {storage}.identities FINAL
WHERE epoch = (SELECT max(epoch) FROM {storage}.epochs WHERE activated_at IS NOT NULL);
