// node node_calls.cjs HOST WRITE_KEY: one call of each kind by @segment/analytics-node.
// Prints the errors that the SDK reports, as a list of JSON.
const { Analytics } = require("@segment/analytics-node");

const [host, writeKey] = process.argv.slice(2);
const errors = [];
const analytics = new Analytics({ host, writeKey, maxRetries: 0 });
analytics.on("error", (error) => errors.push(`${error.code}: ${error.reason}`));

const userId = "u1";
analytics.identify({ userId, traits: { email: "hanako@example.com", name: "花子 🌸" } });
analytics.track({
  userId, event: "Order Completed", messageId: "order-1",
  properties: { revenue: 12.5, currency: "JPY" },
});
analytics.track({ anonymousId: "a1", event: "Late", timestamp: new Date(Date.now() - 864e5) });
analytics.page({ userId, name: "Home", properties: { url: "https://shop.example.com/" } });
analytics.screen({ userId, name: "Start" });
analytics.group({ userId, groupId: "g1", traits: { plan: "gold" } });
analytics.alias({ userId, previousId: "anon" });
analytics.closeAndFlush().then(() => console.log(JSON.stringify(errors)));
