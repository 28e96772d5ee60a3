// Tells the test what goes wrong in a page. The query says where to send: ?gateway=…&key=…
const told = new URLSearchParams(location.search);
const report = (text) =>
  fetch("/report", { method: "POST", body: String(text), keepalive: true });
addEventListener("error", (event) => report(event.message ?? `cannot load ${event.target.src}`), true);
addEventListener("unhandledrejection", (event) => report(event.reason));
const plainError = console.error;
console.error = (...values) => (report(values.map(String).join(" ")), plainError(...values));
