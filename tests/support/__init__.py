"""Helpers that several suites share; what one suite alone needs stands in its own folder.

Fixtures stand beside what they make, and tests/conftest.py registers them: `clickhouse`, `gateway`,
`kafka`, `logs`, `mail_server`, `sinking` and `waiting` have some.

- Servers: `kafka` (both brokers), `clickhouse`, `clickhouse_front`, `mail_server`, `https_site`,
  `proxy` (a network that fails), `small_disk`, `sdk_tools` (Node, Chromium, SDKs of `sdks/`).
- Worlds in memory: `pipeline` (all stages over one log, with `memory_store` and the views of
  `shown`), `homes` and `graph_log` (one stage each), `identity_world`, `deployment` (the pipeline
  before a real ClickHouse).
- Harnesses of processes: `system` (a whole Touchline), `engine_harness` with `engine_stages`,
  `engine_worker` and `plain_faust`, `sinking`, `gateway`, `plug_in`.
- Doubles: `engine_doubles`, `gateway_metrics`, `memory_cluster`.
- References and checks: `identity_reference`, `profile_reference`, `feature_reference`,
  `pipeline_checks`.
- Data in few words: `touches`, `people`, `segments`, `rows`, `publishing`, `refusals`, `files`,
  `gateway_requests`, `ses_requests`, `mapping_languages`, `story` and `identity_stories`.
- About the code itself: `imports`, `exceptions`, `documents`.
"""
