"""The HTTP gateway: requests in, records to Kafka, and an answer once they are stored.

app               routes, `run_gateway`: start, serve, stop
config            GatewayConfig, Source, Ports: all that the gateway is given
protocols         the connectors with a key and the paths that they declare
keyed             the handler of these paths
hooks             the handler of `/hooks/{source}`
sources           lookup of a source by name and by key
verification      the check of a request, with what `fetching` gets and `tokens` remembers
body              a request's body within its limits
request_pipeline  admission, evaluation, publishing and counting, for every kind of request
cors              the CORS headers, the origins of a source
replies           the answers
access            request ids, the access log, exceptions as answers
limits            memory of all bodies, rates of sources
connection_limit  the number of open connections
proxies           trusted proxies, and their headers
health            /healthz, /readyz, /metrics
"""
