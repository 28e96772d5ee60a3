-- Where events differ from the tracking plan of their source. Not derived: a rebuild leaves it.

CREATE TABLE IF NOT EXISTS {storage}.plan_violations
(
    violation_id UUID COMMENT 'Id of one difference of one event: the same when the event comes again',
    source LowCardinality(String) COMMENT 'Configured source that sent the event',
    type LowCardinality(String) COMMENT 'Type of the event',
    event_id String COMMENT 'Id of the event',
    place String COMMENT 'Field that differs, such as properties.items[].sku; empty for the event as a whole',
    rule LowCardinality(String) COMMENT 'Keyword of JSON Schema that was not met, or unplanned',
    expected String COMMENT 'What the schema says there',
    came LowCardinality(String) COMMENT 'JSON type of what came, or nothing',
    action LowCardinality(String) COMMENT 'rejected (the event was refused for it) or warned',
    received_at DateTime64(3, 'UTC') COMMENT 'When the event was received, UTC',
    payload_base64 String COMMENT 'Of some: the beginning of the event as it was sent, base64',
    payload String ALIAS tryBase64Decode(payload_base64) COMMENT 'Of some: the beginning of the event as it was sent'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYear(received_at)
ORDER BY (source, type, violation_id)
COMMENT 'Each difference of each event from the tracking plan of its source';

CREATE OR REPLACE VIEW {bi}.plan_violations
(
    day Date COMMENT 'Day on which the events were received, UTC',
    source LowCardinality(String) COMMENT 'Configured source that sent them',
    type LowCardinality(String) COMMENT 'Type of the events',
    place String COMMENT 'Field that differs, such as properties.items[].sku; empty for the event as a whole',
    rule LowCardinality(String) COMMENT 'Keyword of JSON Schema that was not met, or unplanned',
    expected String COMMENT 'What was expected: what the schema says there',
    came LowCardinality(String) COMMENT 'What came: its JSON type, or nothing',
    action LowCardinality(String) COMMENT 'rejected (the events were refused for it) or warned',
    events UInt64 COMMENT 'How many events differ so; one that came twice counts once',
    first_at DateTime64(3, 'UTC') COMMENT 'When the first of them was received, UTC',
    last_at DateTime64(3, 'UTC') COMMENT 'When the last of them was received, UTC',
    example_event_id String COMMENT 'Id of one of them',
    example String COMMENT 'The beginning of that event as it was sent; empty where none was kept that day'
)
COMMENT 'How events differ from the tracking plan of their source, how often, with an example'
AS SELECT
    toDate(v.received_at) AS day,
    v.source AS source,
    v.type AS type,
    v.place AS place,
    v.rule AS rule,
    v.expected AS expected,
    v.came AS came,
    v.action AS action,
    count() AS events,
    min(v.received_at) AS first_at,
    max(v.received_at) AS last_at,
    argMax(v.event_id, (v.payload_base64 != '', v.received_at, v.event_id)) AS example_event_id,
    argMax(v.payload, (v.payload_base64 != '', v.received_at, v.event_id)) AS example
FROM {storage}.plan_violations AS v FINAL
GROUP BY day, source, type, place, rule, expected, came, action;
