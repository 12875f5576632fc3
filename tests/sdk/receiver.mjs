// A receiver of webhooks, which records what it is sent.
import { createServer } from "node:http";

export async function openReceiver() {
  const received = [];
  let notify = () => {};
  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      response.writeHead(204).end();
      notify();
    });
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${server.address().port}/webhook`,
    received,
    // Resolves when something arrives, or after a tenth of a second.
    woken: () =>
      new Promise((woken) => {
        notify = woken;
        setTimeout(woken, 100);
      }),
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
