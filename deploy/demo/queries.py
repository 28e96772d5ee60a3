"""The report's queries on the views, which also serve as examples."""

from __future__ import annotations

TOUCHES = """
SELECT channel, source, count() AS touches, uniqExact(profile_id) AS people,
       toString(toDate(min(occurred_at))) AS first, toString(toDate(max(occurred_at))) AS last
FROM touchline_bi.touchpoints
GROUP BY channel, source ORDER BY touches DESC, source
"""

IDENTITIES = "SELECT kind, value, profile_id FROM touchline_bi.identities"

PROFILES = """
SELECT count() AS people, countIf(customer_id != '') AS customers,
       countIf(mapKeys(channels) = ['web'] AND customer_id = '' AND email = '') AS anonymous,
       countIf(length(channels) >= 3) AS multichannel
FROM touchline_bi.profiles
"""

CONFLICTS = """
SELECT transform(reason,
           ['unique', 'limit', 'rate'],
           ['two customer numbers claim one identifier',
            'more addresses or numbers than one person has',
            'one identifier would join too many people'], reason) AS meaning,
       count() AS n
FROM touchline_bi.identity_conflicts GROUP BY reason ORDER BY n DESC
"""

SEGMENTS = """
SELECT m.segment AS segment, count() AS people,
       sum(p.revenue['USD']) AS revenue
FROM touchline_bi.segment_members AS m
INNER JOIN touchline_bi.profiles AS p ON p.profile_id = m.profile_id
GROUP BY segment
"""

ENGAGEMENT = """
SELECT channel, sum(n) AS touches, sum(amount) AS amount,
       toUInt64(round(sum(seconds) / 60)) AS minutes,
       arrayStringConcat(arraySlice(
           arrayMap(t -> t.2, arrayReverseSort(groupArray((n, type)))), 1, 3), ', ') AS mostly
FROM
(
    SELECT channel, type, sum(touchpoints) AS n,
           sumIf(value_amount, value_currency = 'USD') AS amount, sum(duration_s) AS seconds
    FROM touchline_bi.engagement_daily
    WHERE window_start >= toStartOfDay(now('UTC')) - INTERVAL 30 DAY
    GROUP BY channel, type
)
GROUP BY channel ORDER BY touches DESC
"""

EMAIL_RATES = """
SELECT campaign_name AS campaign, sumIf(touchpoints, type = 'email_delivered') AS delivered,
       sumIf(touchpoints, type = 'email_opened') AS opened,
       sumIf(touchpoints, type = 'email_clicked') AS clicked,
       sumIf(touchpoints, type = 'email_unsubscribed') AS left
FROM touchline_bi.engagement_daily
WHERE channel = 'email' GROUP BY campaign ORDER BY campaign
"""

BUSIEST = """
SELECT profile_id, customer_id, display_name AS name, touchpoints, length(channels) AS channels,
       orders, revenue['USD'] AS revenue, engagement_score, segments
FROM touchline_bi.profiles
WHERE customer_id != ''
ORDER BY channels DESC, touchpoints DESC, profile_id LIMIT 3
"""

#: One line of the timeline: everything on one channel within an hour, such as a visit or a call.
TIMELINE = """
SELECT formatDateTime(min(first), '%Y-%m-%d %H:%i') AS at, channel,
       arrayStringConcat(arrayMap(t -> if(t.2 > 1, concat(t.1, ' ×', toString(t.2)), t.1),
           arraySort(t -> -t.2, groupArray((type, n)))), ', ') AS what,
       max(about) AS about
FROM
(
    SELECT toStartOfHour(occurred_at) AS hour, channel, type, count() AS n,
           min(occurred_at) AS first,
           max(multiIf(value_amount IS NOT NULL,
                   concat(toString(toDecimal64(value_amount, 2)), ' ', value_currency),
               subject != '' AND subject != 'home', subject,
               campaign_name != '', campaign_name, outcome)) AS about
    FROM touchline_bi.touchpoints WHERE profile_id = {profile:UUID}
    GROUP BY hour, channel, type
)
GROUP BY hour, channel ORDER BY hour DESC, at DESC, channel LIMIT 10
"""

#: Revenue descending, then profile id: A while the share before a customer is under 80 %, B while
#: it is under 95 %, then C.
ABC = """
SELECT class, count() AS customers, 100 * count() / sum(count()) OVER () AS of_customers,
       sum(amount) AS revenue, toFloat64(100 * sum(amount) / sum(sum(amount)) OVER ()) AS of_revenue
FROM
(
    SELECT amount,
           toFloat64(sum(amount) OVER (ORDER BY amount DESC, profile_id ASC
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) - amount)
               / toFloat64(sum(amount) OVER ()) AS before,
           multiIf(before < 0.8, 'A', before < 0.95, 'B', 'C') AS class
    FROM (SELECT profile_id, revenue['USD'] AS amount FROM touchline_bi.profiles WHERE orders > 0)
)
GROUP BY class ORDER BY class
"""

#: The time at which a row became queryable is in the storage tables; the views omit it.
LATENCY = """
SELECT what, count() AS n, quantileExact(0.5)(ms) / 1000 AS p50,
       quantileExact(0.95)(ms) / 1000 AS p95, max(ms) / 1000 AS most
FROM
(
    SELECT 'touches' AS what, dateDiff('millisecond', received_at, inserted_at) AS ms
    FROM touchline.touchpoints
    UNION ALL
    SELECT 'profiles', dateDiff('millisecond', received_at, inserted_at)
    FROM touchline.profiles FINAL WHERE touchpoints > 0
)
GROUP BY what ORDER BY what DESC
"""

REJECTED = """
SELECT reason, source, count() AS n, any(detail) AS example
FROM touchline_bi.rejected_touchpoints GROUP BY reason, source ORDER BY n DESC, reason, source
"""

#: Queries shown at the end, for the user to try.
EXAMPLES = (
    "SELECT segment, count() FROM touchline_bi.segment_members GROUP BY segment",
    "SELECT * FROM touchline_bi.profiles ORDER BY engagement_score DESC LIMIT 1 FORMAT Vertical",
    "SELECT channel, sum(touchpoints) FROM touchline_bi.engagement_daily GROUP BY channel",
)
