"""The root of our exceptions that report a failure, and all of them.

    TouchlineError
    ├── ConfigurationError     the configuration cannot be used
    ├── SegmentError           definitions of segments are wrong
    ├── ConnectorError         a connector cannot be used
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
    ├── EngineUnavailable      the embedded ClickHouse cannot run
    ├── KafkaUnavailable       a local Apache Kafka cannot run
    ├── StackFailed            the demo's `touchline up` did not start, or ended
    └── GatewayGone            the demo's gateway has ended

Exceptions that direct the flow within a room, where they are caught, have other bases: a
connector's `NotNow`, for instance, makes the caller pause and ask again. `tests/test_exceptions.py`
lists them.
"""


class TouchlineError(Exception):
    """A failure that is no bug: `str()` is one line that says it, or a line for each problem.

    The message is for the person who runs the command, names no customer and no secret. The command
    line prints it without a trace and ends with status 1.
    """
