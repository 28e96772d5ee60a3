-- What was refused can be replayed: what it takes for that, and what was replayed already.
-- Neither is derived: a rebuild leaves both tables as they are.

ALTER TABLE {storage}.rejected_touchpoints
    ADD COLUMN IF NOT EXISTS form LowCardinality(String)
    COMMENT 'What the payload is: body, event (of a body), record (of Kafka) or cut (its beginning); empty where not known';
ALTER TABLE {storage}.rejected_touchpoints
    ADD COLUMN IF NOT EXISTS request String
    COMMENT 'What a body or event needs beside it, as JSON: path, headers, bytes before and behind';
ALTER TABLE {storage}.rejected_touchpoints
    ADD COLUMN IF NOT EXISTS topic LowCardinality(String)
    COMMENT 'Topic of a record, without the namespace';
ALTER TABLE {storage}.rejected_touchpoints
    ADD COLUMN IF NOT EXISTS partition UInt32
    COMMENT 'Partition of a record';
ALTER TABLE {storage}.rejected_touchpoints
    ADD COLUMN IF NOT EXISTS key_base64 String
    COMMENT 'Key of a record, base64';
ALTER TABLE {storage}.rejected_touchpoints
    ADD COLUMN IF NOT EXISTS epoch UInt32
    COMMENT 'Epoch whose stage or sink refused a record, 0 where not known';

CREATE TABLE IF NOT EXISTS {storage}.rejected_replays
(
    rejected_id UUID COMMENT 'Id of the refusal',
    received_at DateTime64(3, 'UTC') COMMENT 'When what was refused was received, UTC',
    replayed_at DateTime64(3, 'UTC') COMMENT 'When Kafka had what came of it, UTC',
    outcome LowCardinality(String) COMMENT 'accepted, partly (the rest is refused anew), stored (was there already), returned (to its topic) or empty (nothing in it)',
    accepted UInt32 COMMENT 'Touches that were sent',
    stored UInt32 COMMENT 'Touches that were there already and were not sent again',
    refused UInt32 COMMENT 'Events of it that are refused anew, under ids of their own',
    topic LowCardinality(String) COMMENT 'Topic that it was sent to, without the namespace',
    event_ids Array(String) COMMENT 'Ids of the touches, the first hundred'
)
ENGINE = ReplacingMergeTree(replayed_at)
PARTITION BY toYear(received_at)
ORDER BY (received_at, rejected_id)
COMMENT 'Refusals that were replayed and are not taken up again';

CREATE OR REPLACE VIEW {bi}.rejected_touchpoints
(
    rejected_id UUID COMMENT 'Id of the refusal',
    source LowCardinality(String) COMMENT 'Configured source that sent it',
    reason LowCardinality(String) COMMENT 'Why it was refused: one of a fixed list',
    detail String COMMENT 'What was wrong and what was expected',
    payload String COMMENT 'The original bytes',
    received_at DateTime64(3, 'UTC') COMMENT 'When it was received, UTC',
    connector LowCardinality(String) COMMENT 'Connector that read it; sink where ClickHouse refused a row, empty where a stage refused a record',
    topic LowCardinality(String) COMMENT 'Topic of the record that a stage or ClickHouse refused, empty otherwise',
    replayed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was replayed, UTC; null where it was not',
    outcome LowCardinality(String) COMMENT 'What the replay came to: accepted, partly (the rest is refused anew), stored (was there already), returned (to its topic), empty (nothing in it); empty where it was not replayed'
)
COMMENT 'What was refused, with its bytes and the reason, and whether it was replayed'
AS SELECT
    r.rejected_id AS rejected_id,
    r.source AS source,
    r.reason AS reason,
    r.detail AS detail,
    r.payload AS payload,
    r.received_at AS received_at,
    r.connector AS connector,
    r.topic AS topic,
    if(p.outcome = '', NULL, p.replayed_at) AS replayed_at,
    p.outcome AS outcome
FROM {storage}.rejected_touchpoints AS r FINAL
LEFT ANY JOIN
(
    SELECT received_at, rejected_id, replayed_at, outcome FROM {storage}.rejected_replays FINAL
) AS p ON p.rejected_id = r.rejected_id AND p.received_at = r.received_at;
