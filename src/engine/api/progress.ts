// Progress of an action as lines of JSON. The head goes out with the first line, so that what fails before it is an ordinary
// error reply; what fails later is the last line.

import { once } from "node:events";
import type { Exchange } from "./exchange.ts";
import { renderStreamError } from "./status.ts";

export async function sendProgress(exchange: Exchange, messages: AsyncIterable<unknown>): Promise<void> {
  const iterator = messages[Symbol.asyncIterator]();
  const first = await iterator.next();
  const response = exchange.reply.stream(200, { "Content-Type": "application/json" });
  try {
    for (let next = first; next.done !== true; next = await iterator.next()) {
      if (!response.write(`${JSON.stringify(next.value)}\r\n`))
        await once(response, "drain", { signal: exchange.signal });
    }
    response.end();
  } catch (error) {
    if (exchange.signal.aborted) response.destroy();
    else response.end(renderStreamError(error));
  } finally {
    await iterator.return?.();
  }
}
