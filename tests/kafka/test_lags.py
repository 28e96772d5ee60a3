import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from deploy.config.sections import KafkaSettings
from deploy.kafka.lag import BrokerLags, Reader
from deploy.local.kafka import LocalKafka


@pytest.mark.kafka
def test_a_broker_that_never_had_a_group_is_waited_for(own_kafka: LocalKafka):
    """Right after a start it answers "not coordinator" for some groups."""
    servers = own_kafka.bootstrap_servers
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics([NewTopic("lags.input", 2, 1)])
    admin.close()
    wanted = [Reader(f"lags-{number}", "lags.input") for number in range(20)]
    lags = BrokerLags(KafkaSettings(bootstrap_servers=servers), wanted)
    assert [lag.records for lag in lags.read()] == [0] * 40
    lags.close()
