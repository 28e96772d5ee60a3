package touchline;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The state of a customer: what benchmarks/job.py keeps, in a compact binary form. */
final class Profile {
  private static final long DAY_MS = 86_400_000;
  private static final double HALF_LIFE_DAYS = 30;
  private static final JsonFactory JSON = new JsonFactory();
  private static final String[] SEGMENTS = {
    "active", "big_spenders", "hesitating_buyers", "lapsed_buyers", "newsletter_readers"
  };

  /** One day of a customer: what the score and the segments ask for. */
  private static final class Day {
    int points, viewed, opened, orders;
    long cents;
  }

  String customer = "";
  long firstMs = Long.MAX_VALUE, lastMs = Long.MIN_VALUE, receivedMs;
  int touches, orders;
  /** A bit for each of SEGMENTS. */
  int segments;
  final Map<String, Integer> channels = new TreeMap<>();
  final Map<String, Long> revenue = new TreeMap<>();
  private final Map<Integer, Day> days = new HashMap<>();

  /** Adds an event that is new. */
  Profile add(Event event) {
    customer = event.leadValue();
    firstMs = Math.min(firstMs, event.occurredMs());
    lastMs = Math.max(lastMs, event.occurredMs());
    receivedMs = Math.max(receivedMs, event.receivedMs());
    touches++;
    channels.merge(event.channel(), 1, Integer::sum);
    Day day = days.computeIfAbsent((int) (event.occurredMs() / DAY_MS), number -> new Day());
    switch (event.type()) {
      case "product_viewed" -> {
        day.points += 2;
        day.viewed++;
      }
      case "email_opened" -> {
        day.points++;
        day.opened++;
      }
      case "call_completed" -> day.points += 5;
      case "order_completed" -> {
        day.points += 10;
        day.orders++;
        orders++;
        revenue.merge(event.currency(), event.cents(), Long::sum);
        if (event.currency().equals("USD")) {
          day.cents += event.cents();
        }
      }
      default -> day.points++;
    }
    segments = evaluate();
    return this;
  }

  /** A day counts until all of it is older than the window. */
  private int evaluate() {
    long week = (receivedMs - 7 * DAY_MS) / DAY_MS;
    long month = (receivedMs - 30 * DAY_MS) / DAY_MS;
    long year = (receivedMs - 365 * DAY_MS) / DAY_MS;
    int viewed = 0, ordersOfWeek = 0, ordersOfMonth = 0, opened = 0;
    long cents = 0;
    for (Map.Entry<Integer, Day> entry : days.entrySet()) {
      Day day = entry.getValue();
      int number = entry.getKey();
      if (number >= week) {
        viewed += day.viewed;
        ordersOfWeek += day.orders;
      }
      if (number >= month) {
        ordersOfMonth += day.orders;
        opened += day.opened;
      }
      if (number >= year) {
        cents += day.cents;
      }
    }
    int found = lastMs > receivedMs - 30 * DAY_MS ? 1 : 0;
    found |= cents >= 50_000 ? 2 : 0;
    found |= viewed >= 3 && ordersOfWeek == 0 ? 4 : 0;
    found |= ordersOfMonth > 0 && ordersOfWeek == 0 ? 8 : 0;
    return found | (opened >= 2 ? 16 : 0);
  }

  /** The row to publish. */
  byte[] row(String id) {
    ByteArrayOutputStream out = new ByteArrayOutputStream(400);
    try (JsonGenerator json = JSON.createGenerator(out)) {
      json.writeStartObject();
      json.writeStringField("profile_id", id);
      json.writeStringField("customer_id", customer);
      json.writeNumberField("first_seen_ms", firstMs);
      json.writeNumberField("last_seen_ms", lastMs);
      json.writeNumberField("touchpoints", touches);
      json.writeObjectFieldStart("channels");
      for (Map.Entry<String, Integer> one : channels.entrySet()) {
        json.writeNumberField(one.getKey(), one.getValue());
      }
      json.writeEndObject();
      json.writeNumberField("orders", orders);
      json.writeObjectFieldStart("revenue_cents");
      for (Map.Entry<String, Long> one : revenue.entrySet()) {
        json.writeNumberField(one.getKey(), one.getValue());
      }
      json.writeEndObject();
      json.writeNumberField("engagement_points", points());
      json.writeArrayFieldStart("segments");
      for (int i = 0; i < SEGMENTS.length; i++) {
        if ((segments & 1 << i) != 0) {
          json.writeString(SEGMENTS[i]);
        }
      }
      json.writeEndArray();
      json.writeEndObject();
    } catch (IOException impossible) {
      throw new IllegalStateException(impossible);
    }
    return out.toByteArray();
  }

  /** The changes that lead from the memberships `before` to these. */
  static List<byte[]> changes(String id, int before, int now) {
    List<byte[]> found = new ArrayList<>(2);
    for (int i = 0; i < SEGMENTS.length; i++) {
      if (((before ^ now) & 1 << i) != 0) {
        String verb = (now & 1 << i) != 0 ? "entered" : "exited";
        String text =
            "{\"segment\":\"%s\",\"profile_id\":\"%s\",\"change\":\"%s\"}"
                .formatted(SEGMENTS[i], id, verb);
        found.add(text.getBytes(StandardCharsets.UTF_8));
      }
    }
    return found;
  }

  private double points() {
    long last = lastMs / DAY_MS;
    double sum = 0;
    for (Map.Entry<Integer, Day> one : days.entrySet()) {
      sum += one.getValue().points * Math.pow(0.5, (last - one.getKey()) / HALF_LIFE_DAYS);
    }
    return Math.round(sum * 1e6) / 1e6;
  }

  byte[] pack() {
    byte[] name = customer.getBytes(StandardCharsets.UTF_8);
    int size = 64 + name.length + days.size() * 28;
    for (String channel : channels.keySet()) {
      size += 6 + 3 * channel.length();
    }
    for (String currency : revenue.keySet()) {
      size += 10 + 3 * currency.length();
    }
    ByteBuffer out = ByteBuffer.allocate(size);
    out.putLong(firstMs).putLong(lastMs).putLong(receivedMs);
    out.putInt(touches).putInt(orders).putInt(segments);
    text(out, name);
    out.putShort((short) channels.size());
    channels.forEach((channel, count) -> text(out, utf8(channel)).putInt(count));
    out.putShort((short) revenue.size());
    revenue.forEach((currency, cents) -> text(out, utf8(currency)).putLong(cents));
    out.putShort((short) days.size());
    days.forEach(
        (number, day) ->
            out.putInt(number).putInt(day.points).putInt(day.viewed).putInt(day.opened)
                .putInt(day.orders).putLong(day.cents));
    byte[] packed = new byte[out.position()];
    out.flip().get(packed);
    return packed;
  }

  static Profile unpack(byte[] packed) {
    ByteBuffer in = ByteBuffer.wrap(packed);
    Profile profile = new Profile();
    profile.firstMs = in.getLong();
    profile.lastMs = in.getLong();
    profile.receivedMs = in.getLong();
    profile.touches = in.getInt();
    profile.orders = in.getInt();
    profile.segments = in.getInt();
    profile.customer = text(in);
    for (int left = in.getShort(); left > 0; left--) {
      profile.channels.put(text(in), in.getInt());
    }
    for (int left = in.getShort(); left > 0; left--) {
      profile.revenue.put(text(in), in.getLong());
    }
    for (int left = in.getShort(); left > 0; left--) {
      Day day = new Day();
      profile.days.put(in.getInt(), day);
      day.points = in.getInt();
      day.viewed = in.getInt();
      day.opened = in.getInt();
      day.orders = in.getInt();
      day.cents = in.getLong();
    }
    return profile;
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static ByteBuffer text(ByteBuffer out, byte[] text) {
    return out.putShort((short) text.length).put(text);
  }

  private static String text(ByteBuffer in) {
    byte[] text = new byte[in.getShort()];
    in.get(text);
    return new String(text, StandardCharsets.UTF_8);
  }
}
