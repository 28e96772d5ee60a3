"""The HTTP gateway: requests in, records to Kafka, and an answer once they are kept.

app               routes, `run_gateway`: start, serve, stop
config            GatewayConfig, Source, Ports: all that the gateway is given
sources           which source a request belongs to
connection_limit  how many connections are open at once
body              reading a body within its limits
request_pipeline  verify -> parse -> accept -> publish, for every kind of request
segment_api, snowplow_api, ga4_api, events_api, hooks  the families of paths
cors              which pages of browsers may talk to which source
replies           what each of them answers
health            /healthz, /readyz, /metrics
limits            memory, rate
tokens            signed tokens that were used
fetching          what a connector needs of its provider's site
proxies           what proxies say of a request, and which of them are trusted
access            request ids, the access log, errors that nobody expected
"""
