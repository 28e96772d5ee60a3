"""The HTTP gateway: requests in, records to Kafka, and an answer once they are kept.

app               routes, `run_gateway`: start, serve, stop
config            GatewayConfig, Source, Ports: all that the gateway is given
sources           which source a request belongs to
connection_limit  how many connections are open at once
body              reading a body within its limits
request_pipeline  verify -> parse -> accept -> publish, for every kind of request
protocols         the connectors with a key: paths as their classes declare them
keyed             the handler of all these paths
hooks             /hooks/{source}: providers' webhooks and their handshakes
verification      the check that a request is genuine, with what it takes
cors              which pages of browsers may talk to which source
replies           the answers
health            /healthz, /readyz, /metrics
limits            memory, rate
tokens            signed tokens that were used
fetching          what a connector needs of its provider's site
proxies           what proxies say of a request, and which of them are trusted
access            request ids, the access log, errors that nobody expected
"""
