"""The topic `control`: the present generation and, during a rebuild, the next one.

An epoch works on a *generation*: Kafka topics, consumer groups and changelogs of its own. The first
generation has the plain names of the deployment; one that is built beside it has the prefix
`g<epoch>.`. `setup` and `rebuild` write the topic `control`, all processes read it. It is outside
of the generations, under the plain name.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass

import msgspec
import structlog
from kafka.errors import KafkaError

from deploy.config.sections import KafkaSettings
from deploy.config.settings import Settings
from deploy.kafka import compacted_topic
from deploy.kafka.topics import KafkaNotReady
from schemas.topics import CONTROL, full_name

PRESENT, NEXT = "epoch", "next"
_RETRY = 2.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation, with everything that its processes need to know of it."""

    #: The epoch that works on it.
    epoch: int
    cluster_id: str
    #: Prefix of the names of its topics and groups: the deployment's namespace, followed by that of
    #: the generation if it has one of its own.
    namespace: str
    #: Number of partitions of its topics; 0 if unknown: as configured.
    partitions: int = 0
    #: Its identity policy (`deploy.config.identity_policy.serialize_policy`), '' if unknown.
    policy: str = ""
    #: The namespace of the epoch that it replaces, if it was built beside another one.
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Control:
    """The content of the topic `control`."""

    present: Generation | None = None
    next: Generation | None = None

    def names(self, number: int) -> bool:
        """Return True if the generation of an epoch is the present or the next one."""
        return any(one is not None and one.epoch == number for one in (self.present, self.next))


def generation_namespace(namespace: str, number: int) -> str:
    """Return the Kafka namespace of the generation that belongs to an epoch of this deployment."""
    return full_name(namespace, f"g{number}")


def encode(generation: Generation) -> bytes:
    """Return the record's value, one line of JSON."""
    return json.dumps(asdict(generation)).encode()


def decode(value: bytes, namespace: str) -> Generation:
    """Decode a record of a deployment with this namespace.

    A record of an older release lacks some fields. Unknown fields of a later release are ignored:
    gateways read the record while the other processes are being upgraded.
    """
    return msgspec.convert({"namespace": namespace, **json.loads(value)}, Generation)


def announce(
    kafka: KafkaSettings, namespace: str, generation: Generation | None, setting: str = PRESENT
) -> None:
    """Write the present or next generation; None deletes it. Raises `KafkaNotReady`."""
    value = None if generation is None else encode(generation)
    try:
        with closing(compacted_topic.Writer(kafka, _topic(namespace))) as writer:
            writer.write(setting, value)
    except KafkaError as error:
        raise KafkaNotReady(f"Kafka did not take the epoch: {type(error).__name__}") from error


def wait_for(kafka: KafkaSettings, namespace: str, setting: str = PRESENT) -> Generation:
    """Return the present generation; wait for Kafka and for `setup`, and log each reason once."""
    waiting = _Waiting(kafka)
    while True:
        try:
            if (found := read_generation(kafka, namespace, setting)) is not None:
                return found
            waiting.because(None)
        except (KafkaError, OSError) as error:
            waiting.because(error)


def present_generation(settings: Settings) -> Generation:
    """Return the present generation; its `namespace` is that of its topics.

    Raises `KafkaNotReady` if Kafka does not answer or `setup` never ran.
    """
    found = load_control(settings).present
    if found is None:
        raise KafkaNotReady("there is no epoch yet: run touchline setup")
    return found


def load_control(settings: Settings) -> Control:
    """Return the whole content of the topic. Raises `KafkaNotReady`, soon."""
    try:
        return read_control(settings.kafka, settings.namespace)
    except (KafkaError, OSError) as error:
        raise KafkaNotReady(
            f"Kafka at {settings.kafka.bootstrap_servers} does not answer: {type(error).__name__}"
        ) from error


def read_generation(
    kafka: KafkaSettings, namespace: str, setting: str = PRESENT
) -> Generation | None:
    """Return the generation written last; None if there is none. Raises as `read_control`.

    `NEXT` returns the one that is being built, which becomes the present one when complete.
    """
    control = read_control(kafka, namespace)
    return control.present if setting == PRESENT else control.next or control.present


def read_control(kafka: KafkaSettings, namespace: str) -> Control:
    """Return the whole content of the topic. Raises kafka-python's KafkaError or OSError, soon."""
    return _control(compacted_topic.read(kafka, _topic(namespace)) or {}, namespace)


def follow(kafka: KafkaSettings, namespace: str) -> Iterator[Control]:
    """Yield the content of the topic, now and after each change; never end, wait out outages.

    Logs the reason for waiting only until the first content is known.
    """
    known: Control | None = None
    waiting = _Waiting(kafka)
    while True:
        problem: Exception | None = None
        try:
            for content in compacted_topic.follow(kafka, _topic(namespace)):
                if (found := _control(content, namespace)) != known:
                    known = found
                    yield found
        except (KafkaError, OSError) as error:
            problem = error
        waiting.because(problem, log=known is None)


def watch(kafka: KafkaSettings, namespace: str, changed: Callable[[Control], None]) -> None:
    """Call `changed` with each content of the topic, from a separate daemon thread."""

    def run() -> None:
        for control in follow(kafka, namespace):
            changed(control)

    threading.Thread(target=run, name="control", daemon=True).start()


class _Waiting:
    """The pauses between attempts to read the topic."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._servers = kafka.bootstrap_servers
        self._logged = ""

    def because(self, error: Exception | None, *, log: bool = True) -> None:
        """Pause after an error or, without one, because there is no generation yet.

        Logs a reason unless it is the one that was logged last.
        """
        event = "no_epoch" if error is None else "kafka_unreachable"
        if log and event != self._logged:
            fields = (
                {"hint": "run touchline setup"}
                if error is None
                else {"servers": self._servers, "error": type(error).__name__}
            )
            _log.warning(event, **fields, retry_in=_RETRY)
            self._logged = event
        time.sleep(_RETRY)


def _topic(namespace: str) -> str:
    return full_name(namespace, CONTROL.name)


def _control(content: Mapping[str, bytes], namespace: str) -> Control:
    present, following = (
        decode(content[setting], namespace) if setting in content else None
        for setting in (PRESENT, NEXT)
    )
    return Control(present, following)
