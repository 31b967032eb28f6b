import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { isEngineError } from "../../base/errors.ts";
import { Slots } from "../../base/slots.ts";
import { PushShare } from "./push-slots.ts";

const never = new AbortController().signal;
const isCancelled = (error: unknown): boolean => isEngineError(error, "Cancelled");

describe("slots", () => {
  it("are given in the order of asking, no more than the limit, and who waits is told", async () => {
    let limit = 2;
    const slots = new Slots(() => limit);
    const order: string[] = [];
    const held: Disposable[] = [];
    const ask = async (name: string): Promise<void> => {
      const slot = await slots.take(never, () => order.push(`${name} waits`));
      order.push(name);
      held.push(slot);
    };
    const asked = ["a", "b", "c", "d"].map(ask);
    await turn();
    assert.deepEqual(order.splice(0), ["c waits", "d waits", "a", "b"]);
    held.shift()?.[Symbol.dispose]();
    await turn();
    assert.deepEqual(order.splice(0), ["c"]);
    limit = 3;
    held.shift()?.[Symbol.dispose]();
    await Promise.all(asked);
    assert.deepEqual(order, ["d"]);
    for (const slot of held) slot[Symbol.dispose]();
    assert.equal(slots.isFull, false);
  });

  it("are not kept by who gave up waiting", async () => {
    const slots = new Slots(() => 1);
    const first = await slots.take(never);
    const controller = new AbortController();
    const given = assert.rejects(slots.take(controller.signal), isCancelled);
    const next = slots.take(never);
    controller.abort();
    await given;
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    (await next)[Symbol.dispose]();
    assert.equal(slots.isFull, false);
  });

  it("there is always one, even with a limit of 0", async () => {
    const slots = new Slots(() => 0);
    (await slots.take(never))[Symbol.dispose]();
  });
});

describe("locks by key", () => {
  it("exclude each other, and a waiter can give up without stopping the one behind it", async () => {
    const share = new PushShare(() => 1);
    const first = await share.lock("k", never);
    const controller = new AbortController();
    const given = assert.rejects(share.lock("k", controller.signal), isCancelled);
    let got = false;
    const third = share.lock("k", never).then((lock) => {
      got = true;
      return lock;
    });
    (await share.lock("other", never))[Symbol.dispose]();
    controller.abort();
    await given;
    await turn();
    assert.equal(got, false);
    first[Symbol.dispose]();
    (await third)[Symbol.dispose]();
  });
});
