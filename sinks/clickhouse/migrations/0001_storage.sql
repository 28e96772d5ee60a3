-- Storage: one table per topic, in the shape of its records. Every statement may run twice.
-- All tables replace by version: the same row twice, late or out of order changes nothing.
-- Derived rows carry their epoch in the sorting key, so that a rebuild beside the running
-- system neither hides nor replaces what is shown.

CREATE TABLE IF NOT EXISTS {storage}.epochs
(
    epoch UInt32 COMMENT 'Number of the epoch; grows with each rebuild or new broker',
    cluster_id String COMMENT 'Kafka cluster whose offsets this epoch counts by',
    created_at DateTime64(3, 'UTC') COMMENT 'When the epoch began to be built',
    activated_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Since when the views show it; null while it is built',
    version UInt64 COMMENT 'The greater one of two versions of a row is the newer'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY epoch
COMMENT 'Epochs of derived data; the views show the newest activated one';

CREATE TABLE IF NOT EXISTS {storage}.touchpoints
(
    event_id String COMMENT 'Id of the event, given by the source or derived from the provider''s own',
    channel LowCardinality(String) COMMENT 'web, email, phone, chat, social, commerce, store, event or a plug-in''s own',
    type LowCardinality(String) COMMENT 'What happened: object_action in the past tense',
    source LowCardinality(String) COMMENT 'Configured source that sent the event',
    direction LowCardinality(String) COMMENT 'inbound (from the customer) or outbound (to the customer)',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened, UTC',
    received_at DateTime64(3, 'UTC') COMMENT 'When the gateway received it, UTC',
    lead_kind LowCardinality(String) COMMENT 'Kind of the strongest identifier',
    lead_value String COMMENT 'Value of the strongest identifier, normalized',
    lead_id UUID COMMENT 'Id of the strongest identifier',
    identifiers Map(String, Array(String)) COMMENT 'All identifiers: kind to values',
    traits Map(String, Nullable(String)) COMMENT 'Traits that the event set; null unsets',
    consent Map(String, Bool) COMMENT 'Consent that the event gave or withdrew, per purpose',
    campaign_name String COMMENT 'Campaign, empty if none',
    campaign_source String COMMENT 'Source of the campaign (utm_source), empty if none',
    campaign_medium String COMMENT 'Medium of the campaign (utm_medium), empty if none',
    campaign_term String COMMENT 'Term of the campaign (utm_term), empty if none',
    campaign_content String COMMENT 'Content of the campaign (utm_content), empty if none',
    value_amount Nullable(Decimal(38, 6)) COMMENT 'Money value, exact, in value_currency',
    value_currency LowCardinality(String) COMMENT 'ISO 4217 code of the value, empty if none',
    duration_s Nullable(Float64) COMMENT 'Duration in seconds',
    outcome String COMMENT 'How it ended (answered, no_answer, busy...), empty if not known',
    sentiment Nullable(Float64) COMMENT 'Sentiment from -1 to 1',
    subject String COMMENT 'Subject, title or first line, empty if none',
    url String COMMENT 'Address of the page or resource, empty if none',
    properties String COMMENT 'Everything else, as JSON text',
    schema_version UInt16 COMMENT 'Version of the touchpoint schema',
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row became queryable, UTC',
    version UInt128 MATERIALIZED bitShiftLeft(toUInt128(18446744073709551615 - toUInt64(toUnixTimestamp64Milli(received_at))), 64) + toUInt128(18446744073709551615 - toUInt64(toUnixTimestamp64Milli(inserted_at))) COMMENT 'Makes the delivery that was received first win, and of equal ones the one inserted first',
    INDEX by_lead lead_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(occurred_at)
ORDER BY (toStartOfDay(occurred_at), lead_id, occurred_at, source, event_id)
COMMENT 'Accepted touchpoints';

CREATE TABLE IF NOT EXISTS {storage}.rejected_touchpoints
(
    rejected_id UUID COMMENT 'Id of the refusal',
    source LowCardinality(String) COMMENT 'Configured source that sent it',
    connector LowCardinality(String) COMMENT 'Connector that read it, or the stage that refused it',
    reason LowCardinality(String) COMMENT 'Why it was refused: one of a fixed list',
    detail String COMMENT 'What was wrong and what was expected, for a person',
    payload_base64 String COMMENT 'The original bytes, base64',
    payload String ALIAS tryBase64Decode(payload_base64) COMMENT 'The original bytes',
    received_at DateTime64(3, 'UTC') COMMENT 'When it was received, UTC',
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row became queryable, UTC'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYear(received_at)
ORDER BY (received_at, rejected_id)
COMMENT 'What an authenticated source sent and was refused';

CREATE TABLE IF NOT EXISTS {storage}.identities
(
    epoch UInt32 COMMENT 'Epoch that computed the row',
    identifier_id UUID COMMENT 'Id of the identifier',
    kind LowCardinality(String) COMMENT 'Kind of the identifier',
    value String COMMENT 'Value of the identifier, normalized',
    profile_id UUID COMMENT 'Profile that the identifier belongs to now',
    linked_at DateTime64(3, 'UTC') COMMENT 'Since when it belongs there, UTC',
    version UInt64 COMMENT 'The greater one of two versions of a row is the newer'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY epoch
ORDER BY (epoch, identifier_id)
COMMENT 'Every identifier ever accepted and its present profile';

CREATE TABLE IF NOT EXISTS {storage}.profiles
(
    epoch UInt32 COMMENT 'Epoch that computed the row',
    profile_id UUID COMMENT 'Id of the profile',
    customer_id String COMMENT 'Customer id, empty if not known',
    email String COMMENT 'E-mail address seen last, empty if none',
    phone String COMMENT 'Phone number seen last, E.164, empty if none',
    display_name String COMMENT 'Name to show, empty if not known',
    traits Map(String, String) COMMENT 'Traits: the newest value of each',
    first_seen_at DateTime64(3, 'UTC') COMMENT 'First touch, UTC',
    last_seen_at DateTime64(3, 'UTC') COMMENT 'Last touch, UTC',
    touchpoints UInt64 COMMENT 'Number of touches',
    channels Map(String, UInt64) COMMENT 'Number of touches per channel',
    orders UInt64 COMMENT 'Number of completed orders',
    revenue Map(String, Decimal(38, 6)) COMMENT 'Revenue of completed orders per currency, exact',
    engagement_points Float64 COMMENT 'Weighted touches, decayed to last_seen_at with a half-life of 30 days',
    segments Array(String) COMMENT 'Segments that the profile is in',
    consent Map(String, Bool) COMMENT 'Newest decision per purpose',
    updated_at DateTime64(3, 'UTC') COMMENT 'When the profile last changed, UTC',
    received_at DateTime64(3, 'UTC') COMMENT 'When the newest touch was received, UTC',
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row became queryable, UTC',
    version UInt64 COMMENT 'The greater one of two versions of a row is the newer'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY epoch
ORDER BY (epoch, profile_id)
COMMENT 'Unified profiles';

CREATE TABLE IF NOT EXISTS {storage}.segment_changes
(
    epoch UInt32 COMMENT 'Epoch that computed the row',
    segment LowCardinality(String) COMMENT 'Name of the segment',
    profile_id UUID COMMENT 'Profile that entered or exited',
    change LowCardinality(String) COMMENT 'entered or exited',
    changed_at DateTime64(3, 'UTC') COMMENT 'When it changed, UTC',
    cause LowCardinality(String) COMMENT 'event, time, identity or definition',
    version UInt64 COMMENT 'Number of the change within its profile; 0: found when the epoch was activated'
)
ENGINE = ReplacingMergeTree
PARTITION BY epoch
ORDER BY (epoch, segment, profile_id, version)
COMMENT 'Entries into and exits from segments';

CREATE TABLE IF NOT EXISTS {storage}.segment_membership
(
    epoch UInt32 COMMENT 'Epoch that computed the row',
    segment LowCardinality(String) COMMENT 'Name of the segment',
    profile_id UUID COMMENT 'Profile',
    is_member Bool COMMENT 'Whether the profile is in the segment',
    since DateTime64(3, 'UTC') COMMENT 'Since when this is so, UTC',
    version UInt64 COMMENT 'Twice the version of the change; one more where since was carried over from an earlier epoch'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY epoch
ORDER BY (epoch, segment, profile_id)
COMMENT 'Last change of each profile in each segment';

CREATE MATERIALIZED VIEW IF NOT EXISTS {storage}.segment_membership_feed
TO {storage}.segment_membership
(
    epoch UInt32 COMMENT 'Epoch that computed the row',
    segment LowCardinality(String) COMMENT 'Name of the segment',
    profile_id UUID COMMENT 'Profile',
    is_member Bool COMMENT 'Whether the change was an entry',
    since DateTime64(3, 'UTC') COMMENT 'When it changed, UTC',
    version UInt64 COMMENT 'Twice the version of the change'
)
AS SELECT
    epoch,
    segment,
    profile_id,
    change = 'entered' AS is_member,
    changed_at AS since,
    version * 2 AS version
FROM {storage}.segment_changes
WHERE version > 0;

CREATE TABLE IF NOT EXISTS {storage}.engagement
(
    epoch UInt32 COMMENT 'Epoch that computed the row',
    window_start DateTime('UTC') COMMENT 'Begin of the hour, UTC, by occurred_at',
    channel LowCardinality(String) COMMENT 'Channel of the touches',
    type LowCardinality(String) COMMENT 'Type of the touches',
    source LowCardinality(String) COMMENT 'Source of the touches',
    campaign_name String COMMENT 'Campaign, empty if none',
    value_currency LowCardinality(String) COMMENT 'ISO 4217 code, empty if none',
    home UInt16 COMMENT 'Partition that counted; views sum over them',
    touchpoints UInt64 COMMENT 'Number of touches so far',
    value_amount Decimal(38, 6) COMMENT 'Sum of their values, exact',
    duration_s Float64 COMMENT 'Sum of their durations in seconds',
    version UInt64 COMMENT 'The greater one of two versions of a row is the newer'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY epoch
ORDER BY (epoch, window_start, channel, type, source, campaign_name, value_currency, home)
COMMENT 'Engagement counters per hour, absolute';

CREATE TABLE IF NOT EXISTS {storage}.identity_conflicts
(
    epoch UInt32 COMMENT 'Epoch that computed the row',
    identifier_id UUID COMMENT 'Id of the refused identifier',
    kind LowCardinality(String) COMMENT 'Kind of the refused identifier',
    value String COMMENT 'Value of the refused identifier, normalized',
    lead_id UUID COMMENT 'Id of the lead that it came with',
    lead_kind LowCardinality(String) COMMENT 'Kind of the lead',
    lead_value String COMMENT 'Value of the lead, normalized',
    profile_id UUID COMMENT 'Profile where the identifier stays',
    other_profile_id UUID COMMENT 'Profile of the lead',
    reason LowCardinality(String) COMMENT 'unique, limit or rate',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When the touch that named both happened, UTC',
    version UInt64 COMMENT 'The greater one of two versions of a row is the newer'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY epoch
ORDER BY (epoch, identifier_id, lead_id, reason)
COMMENT 'Links that were refused because they would join two people';
