"""Arguments of the Kafka clients, made from the configuration."""

from __future__ import annotations

import ssl
from typing import Any

from deploy.config.embedded import API_VERSION
from deploy.config.sections import KafkaSettings
from ingest.publishing.port import KafkaConnection


def security(kafka: KafkaSettings) -> dict[str, Any]:
    """Return keyword arguments of aiokafka's clients besides `bootstrap_servers`."""
    options: dict[str, Any] = {"security_protocol": kafka.security_protocol}
    if kafka.security_protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(kafka)
    if kafka.sasl_mechanism:
        options |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.sasl_username,
            "sasl_plain_password": _password(kafka),
        }
    return options


def blocking(kafka: KafkaSettings) -> dict[str, Any]:
    """Return keyword arguments of kafka-python's clients."""
    options = {"bootstrap_servers": kafka.bootstrap_servers.split(","), **security(kafka)}
    if kafka.embedded:
        options["api_version"] = tuple(int(part) for part in API_VERSION.split("."))
    return options


def kafka_connection(kafka: KafkaSettings, namespace: str) -> KafkaConnection:
    """Return the publishers' connection; they write to the namespace of a generation."""
    return KafkaConnection(
        kafka.bootstrap_servers,
        namespace,
        security(kafka),
        API_VERSION if kafka.embedded else None,
    )


def _password(kafka: KafkaSettings) -> str | None:
    return kafka.sasl_password.get_secret_value() if kafka.sasl_password else None


def _ssl_context(kafka: KafkaSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=kafka.ssl_cafile)
    if kafka.ssl_certfile:
        context.load_cert_chain(kafka.ssl_certfile, kafka.ssl_keyfile)
    return context
