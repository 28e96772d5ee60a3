"""The payloads of the built-in connectors' providers and their signatures, a module each.

Each is held against the suites in `ingest/testing/`, found by its entry point in the group
`touchline.contracts`. `payloads/` has the bodies, after the providers' documentation.
"""
