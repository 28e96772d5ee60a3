"""The root of our exceptions that report a failure, and all of them.

    TouchlineError
    ├── ProblemsFound          what people have written is wrong
    │   ├── ConfigurationError the configuration cannot be used
    │   └── SegmentError       definitions of segments are wrong
    ├── ConnectorError         a connector cannot be used
    ├── SourcesClash           sources cannot be served beside each other
    ├── FileProblem            a file cannot be read at all
    ├── NewerFormat            a later release has written what is read
    ├── PublishError           records were not published
    │   └── NotAcknowledged    Kafka did not acknowledge in time
    ├── KafkaNotReady          Kafka does not answer, or not as expected
    ├── ClickHouseError        an operation of ClickHouse failed
    │   ├── Unreachable        it does not answer; the same call may succeed later
    │   ├── BadRows            it cannot read a row
    │   └── RequestRejected    it rejects the request until somebody changes something
    ├── MigrationError         tables cannot be migrated
    ├── ImportProblem          a file cannot be imported
    ├── PullProblem            there is nothing to pull
    ├── SplitError             identifiers cannot be split now
    ├── ReplayError            refused events cannot be replayed now
    ├── RebuildError           a rebuild is impossible, or was ended
    ├── ChildFailed            a child process could not start, or died
    ├── StackError             `touchline up` cannot run
    ├── ExtraMissing           packages of the extra `local` are not installed
    ├── EngineUnavailable      the embedded ClickHouse cannot run
    ├── KafkaUnavailable       a local Apache Kafka cannot run
    ├── StackFailed            the demo's `touchline up` did not start, or ended
    └── GatewayGone            the demo's gateway has ended

Exceptions that direct the flow within a room, where they are caught, have other bases: a
connector's `NotNow`, for instance, makes the caller pause and ask again. `tests/test_exceptions.py`
lists them.
"""

from __future__ import annotations

from dataclasses import dataclass


class TouchlineError(Exception):
    """A failure that is no bug: `str()` is one line that says it, or a line for each problem.

    The message is for the person who runs the command, names no customer and no secret. The command
    line prints it without a trace and ends with status 1.
    """


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in what people have written, and what was expected there.

    `place` is a file or a variable; `line` is 0 where there is none. No part repeats a secret.
    """

    place: str
    message: str
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.place}:{self.line}" if self.line else self.place
        return f"{place}: {self.message}"


class ProblemsFound(TouchlineError):
    """Everything that is wrong; `str()` has a line for each problem."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems
