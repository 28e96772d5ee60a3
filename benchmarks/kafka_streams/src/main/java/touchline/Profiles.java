package touchline;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * A peer: Kafka Streams, two threads. Arguments: bootstrap servers, application id (the prefix of
 * the topics too), folder for the state.
 *
 * <p>Ids that were seen are in a store of their own; customers are an aggregation whose cache is
 * flushed with every commit, so a customer touched several times is logged and published once.
 */
public final class Profiles {
  private static final int THREADS = 2;
  private static final Serde<byte[]> RAW = Serdes.ByteArray();
  private static final byte[] PRESENT = {1};

  /** A record as it was read; `event` is null if it is malformed. */
  private record Read(byte[] value, Event event) {}

  private Profiles() {}

  /** Runs until it is stopped. */
  public static void main(String[] arguments) throws InterruptedException {
    String servers = arguments[0];
    String name = arguments[1];
    KafkaStreams streams =
        new KafkaStreams(topology(name).build(), settings(servers, name, arguments[2]));
    CountDownLatch stopped = new CountDownLatch(1);
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          stopped.countDown();
          return StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
    stopped.await();
    System.exit(1);
  }

  private static StreamsBuilder topology(String name) {
    StreamsBuilder builder = new StreamsBuilder();
    builder.addStateStore(store("seen", false));
    builder.addStateStore(store("members", true));
    KStream<byte[], Read> read =
        builder
            .stream(name + ".touchpoints", Consumed.with(RAW, RAW))
            .mapValues(value -> new Read(value, Event.read(value)));
    Produced<byte[], byte[]> raw = Produced.with(RAW, RAW);
    read.filter((key, one) -> one.event() == null)
        .mapValues(Read::value)
        .to(name + ".dead", raw);
    KStream<byte[], byte[]> profiles =
        read.filter((key, one) -> one.event() != null)
            .mapValues(Read::event)
            .processValues(FirstDelivery::new, "seen")
            .groupByKey(Grouped.with(RAW, null))
            .aggregate(
                () -> null,
                (key, event, packed) ->
                    (packed == null ? new Profile() : Profile.unpack(packed)).add(event).pack(),
                Materialized.<byte[], byte[], KeyValueStore<Bytes, byte[]>>as("profiles")
                    .withKeySerde(RAW)
                    .withValueSerde(RAW)
                    .withCachingEnabled())
            .toStream();
    profiles
        .mapValues((key, packed) -> Profile.unpack(packed).row(text(key)))
        .to(name + ".profiles", raw);
    profiles.processValues(Memberships::new, "members").to(name + ".changes", raw);
    return builder;
  }

  private static StoreBuilder<KeyValueStore<byte[], byte[]>> store(String name, boolean cached) {
    StoreBuilder<KeyValueStore<byte[], byte[]>> store =
        Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(name), RAW, RAW)
            .withLoggingEnabled(Map.of());
    return cached ? store.withCachingEnabled() : store.withCachingDisabled();
  }

  private static Properties settings(String servers, String name, String state) {
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, name);
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, state);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, THREADS);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
    settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 256L << 20);
    settings.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
    settings.put(
        StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 4000);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.ACKS_CONFIG), "all");
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 50);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 << 10);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "snappy");
    // The benchmark reads from the broker's clock when the last record was appended.
    settings.put(
        StreamsConfig.topicPrefix(TopicConfig.MESSAGE_TIMESTAMP_TYPE_CONFIG), "LogAppendTime");
    return settings;
  }

  private static String text(byte[] key) {
    return new String(key, StandardCharsets.UTF_8);
  }

  /** Lets an event pass the first time that its id comes. */
  private static final class FirstDelivery implements FixedKeyProcessor<byte[], Event, Event> {
    private FixedKeyProcessorContext<byte[], Event> context;
    private KeyValueStore<byte[], byte[]> seen;

    @Override
    public void init(FixedKeyProcessorContext<byte[], Event> context) {
      this.context = context;
      this.seen = context.getStateStore("seen");
    }

    @Override
    public void process(FixedKeyRecord<byte[], Event> record) {
      Event event = record.value();
      byte[] id = (event.source() + " " + event.eventId()).getBytes(StandardCharsets.UTF_8);
      if (seen.get(id) == null) {
        seen.put(id, PRESENT);
        context.forward(record);
      }
    }
  }

  /** Says which segments a changed profile has entered or left. */
  private static final class Memberships implements FixedKeyProcessor<byte[], byte[], byte[]> {
    private FixedKeyProcessorContext<byte[], byte[]> context;
    private KeyValueStore<byte[], byte[]> members;

    @Override
    public void init(FixedKeyProcessorContext<byte[], byte[]> context) {
      this.context = context;
      this.members = context.getStateStore("members");
    }

    @Override
    public void process(FixedKeyRecord<byte[], byte[]> record) {
      byte[] stored = members.get(record.key());
      int before = stored == null ? 0 : stored[0];
      int now = Profile.unpack(record.value()).segments;
      if (now != before) {
        members.put(record.key(), new byte[] {(byte) now});
        for (byte[] change : Profile.changes(text(record.key()), before, now)) {
          context.forward(record.withValue(change));
        }
      }
    }
  }
}
