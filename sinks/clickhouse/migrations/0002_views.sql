-- The contract with BI: database {bi}. Only the present epoch is shown, so that a rebuild beside
-- the running system is invisible until it is activated.

CREATE OR REPLACE VIEW {bi}.touchpoints
(
    event_id String COMMENT 'Id of the event',
    profile_id UUID COMMENT 'Profile that the customer has now',
    lead_kind LowCardinality(String) COMMENT 'Kind of the strongest identifier',
    lead_value String COMMENT 'Value of the strongest identifier, normalized',
    channel LowCardinality(String) COMMENT 'web, email, phone, chat, social, commerce, store, event or a plug-in''s own',
    type LowCardinality(String) COMMENT 'What happened: object_action in the past tense',
    source LowCardinality(String) COMMENT 'Configured source that sent the event',
    direction LowCardinality(String) COMMENT 'inbound (from the customer) or outbound (to the customer)',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened, UTC',
    received_at DateTime64(3, 'UTC') COMMENT 'When it was received, UTC',
    campaign_name String COMMENT 'Campaign, empty if none',
    campaign_source String COMMENT 'Source of the campaign, empty if none',
    campaign_medium String COMMENT 'Medium of the campaign, empty if none',
    value_amount Nullable(Decimal(38, 6)) COMMENT 'Money value, exact, in value_currency',
    value_currency LowCardinality(String) COMMENT 'ISO 4217 code of the value, empty if none',
    duration_s Nullable(Float64) COMMENT 'Duration in seconds',
    outcome String COMMENT 'How it ended, empty if not known',
    sentiment Nullable(Float64) COMMENT 'Sentiment from -1 to 1',
    subject String COMMENT 'Subject, title or first line, empty if none',
    url String COMMENT 'Address of the page or resource, empty if none',
    identifiers Map(String, Array(String)) COMMENT 'All identifiers: kind to values',
    properties String COMMENT 'Everything else, as JSON text'
)
COMMENT 'Every accepted touch, once, with the profile that its customer has now'
AS SELECT
    t.event_id AS event_id,
    -- Only identifiers that moved have a row on the right side; the others are their own profile.
    coalesce(nullIf(moved.profile_id, toUUID('00000000-0000-0000-0000-000000000000')), t.lead_id) AS profile_id,
    t.lead_kind AS lead_kind,
    t.lead_value AS lead_value,
    t.channel AS channel,
    t.type AS type,
    t.source AS source,
    t.direction AS direction,
    t.occurred_at AS occurred_at,
    t.received_at AS received_at,
    t.campaign_name AS campaign_name,
    t.campaign_source AS campaign_source,
    t.campaign_medium AS campaign_medium,
    t.value_amount AS value_amount,
    t.value_currency AS value_currency,
    t.duration_s AS duration_s,
    t.outcome AS outcome,
    t.sentiment AS sentiment,
    t.subject AS subject,
    t.url AS url,
    t.identifiers AS identifiers,
    t.properties AS properties
FROM {storage}.touchpoints AS t FINAL
LEFT ANY JOIN
(
    SELECT identifier_id, profile_id
    FROM {storage}.identities FINAL
    WHERE epoch = (SELECT max(epoch) FROM {storage}.epochs WHERE activated_at IS NOT NULL)
        AND profile_id != identifier_id
) AS moved ON moved.identifier_id = t.lead_id;

CREATE OR REPLACE VIEW {bi}.profiles
(
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
    engagement_score Float64 COMMENT 'Engagement from 0 to 100 at this moment; what lies 30 days back counts half',
    segments Array(String) COMMENT 'Segments that the profile is in',
    consent Map(String, Bool) COMMENT 'Newest decision per purpose',
    updated_at DateTime64(3, 'UTC') COMMENT 'When the profile last changed, UTC'
)
COMMENT 'Unified profiles that have at least one touch'
AS SELECT
    profile_id, customer_id, email, phone, display_name, traits, first_seen_at, last_seen_at,
    touchpoints, channels, orders, revenue,
    round(100 * (1 - exp(-engagement_points * exp2(-greatest(dateDiff('second', last_seen_at, now64(3, 'UTC')), 0) / 2592000) / 20)), 1) AS engagement_score,
    segments, consent, updated_at
FROM {storage}.profiles FINAL
WHERE epoch = (SELECT max(epoch) FROM {storage}.epochs WHERE activated_at IS NOT NULL)
    AND touchpoints > 0;

CREATE OR REPLACE VIEW {bi}.identities
(
    kind LowCardinality(String) COMMENT 'Kind of the identifier',
    value String COMMENT 'Value of the identifier, normalized',
    profile_id UUID COMMENT 'Profile that the identifier belongs to now',
    linked_at DateTime64(3, 'UTC') COMMENT 'Since when it belongs there, UTC'
)
COMMENT 'Every identifier and its present profile'
AS SELECT kind, value, profile_id, linked_at
FROM {storage}.identities FINAL
WHERE epoch = (SELECT max(epoch) FROM {storage}.epochs WHERE activated_at IS NOT NULL);

CREATE OR REPLACE VIEW {bi}.segment_members
(
    segment LowCardinality(String) COMMENT 'Name of the segment',
    profile_id UUID COMMENT 'Profile that is in it',
    since DateTime64(3, 'UTC') COMMENT 'Since when, UTC'
)
COMMENT 'Who is in which segment now'
AS SELECT segment, profile_id, since
FROM {storage}.segment_membership FINAL
WHERE epoch = (SELECT max(epoch) FROM {storage}.epochs WHERE activated_at IS NOT NULL)
    AND is_member;

CREATE OR REPLACE VIEW {bi}.segment_changes
(
    segment LowCardinality(String) COMMENT 'Name of the segment',
    profile_id UUID COMMENT 'Profile that entered or exited',
    change LowCardinality(String) COMMENT 'entered or exited',
    changed_at DateTime64(3, 'UTC') COMMENT 'When, UTC',
    cause LowCardinality(String) COMMENT 'event, time, identity or definition'
)
COMMENT 'Every entry into and exit from a segment'
AS
-- Each epoch speaks for the time in which it was shown, the first one for all time before too.
WITH shown AS
(
    SELECT
        epoch,
        if(epoch = min(epoch) OVER (), toDateTime64('1900-01-01 00:00:00', 3, 'UTC'), assumeNotNull(activated_at)) AS begins,
        min(assumeNotNull(activated_at)) OVER (ORDER BY epoch ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS next_begins,
        epoch = max(epoch) OVER () AS present
    FROM {storage}.epochs FINAL
    WHERE activated_at IS NOT NULL
)
SELECT c.segment AS segment, c.profile_id AS profile_id, c.change AS change, c.changed_at AS changed_at, c.cause AS cause
FROM {storage}.segment_changes AS c FINAL
INNER JOIN shown ON shown.epoch = c.epoch
WHERE c.changed_at >= shown.begins AND (shown.present OR c.changed_at < shown.next_begins);

CREATE OR REPLACE VIEW {bi}.engagement_hourly
(
    window_start DateTime('UTC') COMMENT 'Begin of the hour, UTC, by occurred_at',
    channel LowCardinality(String) COMMENT 'Channel of the touches',
    type LowCardinality(String) COMMENT 'Type of the touches',
    source LowCardinality(String) COMMENT 'Source of the touches',
    campaign_name String COMMENT 'Campaign, empty if none',
    touchpoints UInt64 COMMENT 'Number of touches',
    value_amount Decimal(38, 6) COMMENT 'Sum of their values in value_currency, exact',
    value_currency LowCardinality(String) COMMENT 'ISO 4217 code, empty where there is none',
    duration_s Float64 COMMENT 'Sum of their durations in seconds'
)
COMMENT 'Engagement per hour'
AS SELECT
    e.window_start AS window_start, e.channel AS channel, e.type AS type, e.source AS source,
    e.campaign_name AS campaign_name,
    sum(e.touchpoints) AS touchpoints,
    sum(e.value_amount) AS value_amount,
    e.value_currency AS value_currency,
    sum(e.duration_s) AS duration_s
FROM {storage}.engagement AS e FINAL
WHERE e.epoch = (SELECT max(epoch) FROM {storage}.epochs WHERE activated_at IS NOT NULL)
GROUP BY window_start, channel, type, source, campaign_name, value_currency;

CREATE OR REPLACE VIEW {bi}.engagement_daily
(
    window_start DateTime('UTC') COMMENT 'Begin of the day, UTC, by occurred_at',
    channel LowCardinality(String) COMMENT 'Channel of the touches',
    type LowCardinality(String) COMMENT 'Type of the touches',
    source LowCardinality(String) COMMENT 'Source of the touches',
    campaign_name String COMMENT 'Campaign, empty if none',
    touchpoints UInt64 COMMENT 'Number of touches',
    value_amount Decimal(38, 6) COMMENT 'Sum of their values in value_currency, exact',
    value_currency LowCardinality(String) COMMENT 'ISO 4217 code, empty where there is none',
    duration_s Float64 COMMENT 'Sum of their durations in seconds'
)
COMMENT 'Engagement per day'
AS SELECT
    toStartOfDay(e.window_start, 'UTC') AS window_start, e.channel AS channel, e.type AS type,
    e.source AS source, e.campaign_name AS campaign_name,
    sum(e.touchpoints) AS touchpoints,
    sum(e.value_amount) AS value_amount,
    e.value_currency AS value_currency,
    sum(e.duration_s) AS duration_s
FROM {storage}.engagement AS e FINAL
WHERE e.epoch = (SELECT max(epoch) FROM {storage}.epochs WHERE activated_at IS NOT NULL)
GROUP BY window_start, channel, type, source, campaign_name, value_currency;

CREATE OR REPLACE VIEW {bi}.rejected_touchpoints
(
    rejected_id UUID COMMENT 'Id of the refusal',
    source LowCardinality(String) COMMENT 'Configured source that sent it',
    reason LowCardinality(String) COMMENT 'Why it was refused: one of a fixed list',
    detail String COMMENT 'What was wrong and what was expected',
    payload String COMMENT 'The original bytes',
    received_at DateTime64(3, 'UTC') COMMENT 'When it was received, UTC'
)
COMMENT 'What was refused, with its bytes and the reason'
AS SELECT rejected_id, source, reason, detail, payload, received_at
FROM {storage}.rejected_touchpoints FINAL;

CREATE OR REPLACE VIEW {bi}.identity_conflicts
(
    kind LowCardinality(String) COMMENT 'Kind of the refused identifier',
    value String COMMENT 'Value of the refused identifier, normalized',
    profile_id UUID COMMENT 'Profile where the identifier stays',
    other_profile_id UUID COMMENT 'Profile of the lead that it came with',
    reason LowCardinality(String) COMMENT 'unique, limit or rate',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When the touch that named both happened, UTC'
)
COMMENT 'Links that were refused because they would join two people'
AS SELECT kind, value, profile_id, other_profile_id, reason, occurred_at
FROM {storage}.identity_conflicts FINAL
WHERE epoch = (SELECT max(epoch) FROM {storage}.epochs WHERE activated_at IS NOT NULL);
