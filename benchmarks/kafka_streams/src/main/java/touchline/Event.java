package touchline;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.time.Instant;
import java.time.format.DateTimeParseException;

/** The fields of a touchpoint that the job needs. */
record Event(
    String eventId,
    String source,
    String channel,
    String type,
    long occurredMs,
    long receivedMs,
    String leadId,
    String leadValue,
    long cents,
    String currency) {

  private static final JsonFactory JSON = new JsonFactory();

  /** The event of a record, or null if it is malformed. Fields not needed are skipped. */
  static Event read(byte[] value) {
    String eventId = null, source = null, channel = null, type = null;
    String occurred = null, received = null, leadId = null, leadValue = null;
    String amount = null, currency = "";
    try (JsonParser parser = JSON.createParser(value)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        return null;
      }
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String name = parser.currentName();
        JsonToken token = parser.nextToken();
        switch (name) {
          case "event_id" -> eventId = text(parser, token);
          case "source" -> source = text(parser, token);
          case "channel" -> channel = text(parser, token);
          case "type" -> type = text(parser, token);
          case "occurred_at" -> occurred = text(parser, token);
          case "received_at" -> received = text(parser, token);
          case "lead_id" -> leadId = text(parser, token);
          case "lead_value" -> leadValue = text(parser, token);
          case "value_amount" -> amount = text(parser, token);
          case "value_currency" -> currency = text(parser, token);
          default -> parser.skipChildren();
        }
      }
      if (parser.currentToken() != JsonToken.END_OBJECT
          || eventId == null || source == null || channel == null || type == null
          || leadId == null || leadValue == null || occurred == null || received == null) {
        return null;
      }
      return new Event(
          eventId, source, channel, type, millis(occurred), millis(received), leadId, leadValue,
          amount == null ? 0 : Math.round(Double.parseDouble(amount) * 100), currency);
    } catch (IOException | DateTimeParseException | NumberFormatException malformed) {
      return null;
    }
  }

  private static String text(JsonParser parser, JsonToken token) throws IOException {
    return token == JsonToken.VALUE_STRING ? parser.getText() : null;
  }

  private static long millis(String time) {
    return Instant.parse(time).toEpochMilli();
  }
}
