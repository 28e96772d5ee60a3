"""A real Apache Kafka, one node in KRaft mode, that requires only Java and Maven.

Its jars are downloaded once from Maven Central and stay in a cache folder. The tests of durability,
rebalancing and faults run on it, and `touchline local-kafka` starts it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.local.ports import free_port
from deploy.local.readiness import listening, wait_until
from deploy.runtime.private_files import private_folder
from deploy.runtime.processes import die_with_parent, stop
from schemas.errors import TouchlineError

VERSION = "4.1.1"
_SCALA = "2.13"
_MINIMUM_JAVA = 17
_START_TIMEOUT = 60.0

_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>touchline.local</groupId><artifactId>kafka</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_{_SCALA}</artifactId>
      <version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId>
      <version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId>
      <version>2.24.3</version>
    </dependency>
  </dependencies>
</project>
"""


class KafkaUnavailable(TouchlineError):
    """Apache Kafka cannot run here; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class KafkaNode:
    """Configuration of the node. `data` keeps everything that must survive a restart."""

    data: Path
    port: int = 9092
    host: str = "127.0.0.1"
    heap: str = "512m"
    #: Overrides of server.properties.
    properties: dict[str, str] = field(default_factory=dict)


def missing_tools() -> str | None:
    """Describe what this machine lacks to run Apache Kafka; None if nothing is missing."""
    java = shutil.which("java")
    if java is None:
        return f"Java {_MINIMUM_JAVA} or newer is not installed"
    output = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)  # noqa: S603 - the java that PATH names
    found = re.search(r'version "(\d+)', output.stderr)
    if found is None or int(found[1]) < _MINIMUM_JAVA:
        return f"Java {_MINIMUM_JAVA} or newer is needed, found {found[1] if found else 'unknown'}"
    if not _jars(default_cache()) and shutil.which("mvn") is None:
        return "Maven is not installed"
    return None


def default_cache() -> Path:
    """Return the folder of the cached jars, shared by all projects of this user."""
    return Path.home() / ".cache" / "touchline" / f"kafka-{_SCALA}-{VERSION}"


def _jars(cache: Path) -> list[Path]:
    return sorted(cache.glob("*.jar"))


def class_path(cache: Path | None = None) -> str:
    """Return the Java class path of Apache Kafka; the first call downloads the jars with Maven.

    Raises `KafkaUnavailable` if Java or Maven is missing or Maven Central cannot be reached.
    """
    cache = cache or default_cache()
    if missing := missing_tools():
        raise KafkaUnavailable(missing)
    if not _jars(cache):
        _fetch(cache)
    return f"{cache}/*"


def _fetch(cache: Path) -> None:
    """Download into a neighbouring folder and rename, so that a cache is complete or absent."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache.parent) as work:
        (Path(work) / "pom.xml").write_text(_POM, encoding="utf-8")
        result = subprocess.run(  # noqa: S603 - fixed arguments
            [
                *("mvn", "-B", "-q", "dependency:copy-dependencies"),
                f"-DoutputDirectory={work}/jars",
            ],
            cwd=work,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            reason = next(
                (x for x in result.stdout.splitlines() if "ERROR" in x), "no reason given"
            )
            raise KafkaUnavailable(f"Maven could not fetch Apache Kafka {VERSION}: {reason}")
        try:
            (Path(work) / "jars").rename(cache)
        except OSError:
            if not _jars(cache):  # otherwise another process was faster
                raise


class LocalKafka:
    """A running node; a context manager. Data survive `stop` and `start`."""

    def __init__(self, node: KafkaNode) -> None:
        self._node = node
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Address for clients."""
        return f"{self._node.host}:{self._node.port}"

    @property
    def pid(self) -> int:
        """The broker's process id, for tests that kill or pause it."""
        if self._process is None:
            raise RuntimeError("the broker is not running")
        return self._process.pid

    @property
    def log(self) -> Path:
        """The broker's log file."""
        return self._node.data / "kafka.log"

    def start(self) -> LocalKafka:
        """Format new storage, start the broker, and return once connections are accepted."""
        private_folder(self._node.data)
        properties = self._node.data / "server.properties"
        properties.write_text(_properties(self._node), encoding="utf-8")
        path = class_path()
        if not (self._node.data / "logs" / "meta.properties").exists():
            self._format(path, properties)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - fixed arguments
                self._java(path, f"-Xmx{self._node.heap}", "kafka.Kafka", str(properties)),
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches only the parent, which stops the broker in its own time.
                process_group=0,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - only a system call, no Python state
            )
        process = self._process
        ready = wait_until(
            lambda: process.poll() is not None or listening(self._node.host, self._node.port),
            _START_TIMEOUT,
        )
        if not ready or process.poll() is not None:
            self.stop()
            raise KafkaUnavailable(f"Apache Kafka did not start, see {self.log}")
        return self

    def poll(self) -> int | None:
        """Return the exit status if the broker has ended by itself."""
        return self._process.poll() if self._process else None

    def stop(self) -> None:
        """Stop the broker cleanly; do nothing if it is not running."""
        if self._process is not None:
            stop(self._process, grace=20)
            self._process = None

    def kill(self) -> None:
        """Kill the broker, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _format(self, path: str, properties: Path) -> None:
        cluster_id = uuid.uuid4().hex[:22]
        result = subprocess.run(  # noqa: S603 - fixed arguments
            self._java(
                *(path, "-Xmx128m", "kafka.tools.StorageTool"),
                *("format", "--ignore-formatted", "-t", cluster_id, "-c", str(properties)),
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            last = (result.stderr or result.stdout).strip().splitlines()[-1:]
            raise KafkaUnavailable(f"cannot format {self._node.data}: {' '.join(last)}")

    def _java(self, path: str, heap: str, main: str, *arguments: str) -> list[str]:
        java = shutil.which("java") or "java"
        data = self._node.data
        properties = [
            f"-Dlog4j2.configurationFile={_log4j(data)}",
            # Java unpacks its native libraries there, and a killed JVM leaves them behind.
            f"-Djava.io.tmpdir={data}",
        ]
        return [java, heap, "-XX:+UseSerialGC", *properties, "-cp", path, main, *arguments]

    def __enter__(self) -> LocalKafka:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _log4j(data: Path) -> Path:
    file = data / "log4j2.properties"
    file.write_text(
        "rootLogger.level = warn\n"
        "rootLogger.appenderRef.out.ref = out\n"
        "appender.out.type = Console\n"
        "appender.out.name = out\n"
        "appender.out.layout.type = PatternLayout\n"
        "appender.out.layout.pattern = %d{ISO8601} %p %c{1} %m%n\n",
        encoding="utf-8",
    )
    return file


def _properties(node: KafkaNode) -> str:
    # A quorum of one may use another port each time: no other node needs to find it.
    controller = f"{node.host}:{free_port(node.host)}"
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{node.host}:{node.port},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{node.host}:{node.port}",
        "log.dirs": str(node.data / "logs"),
        # Topics are created only by `touchline setup`.
        "auto.create.topics.enable": "false",
        # One node: internal topics cannot have more replicas.
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # Waiting for more members of a new group would only delay a single machine.
        "group.initial.rebalance.delay.ms": "0",
        **node.properties,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
