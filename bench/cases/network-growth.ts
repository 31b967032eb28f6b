// How networks grow: one network is filled with containers that publish a port each, and at certain numbers of them a start, a
// look-up, a packet from one to another and a connection through a port are measured again.

import type { EngineUnderTest } from "../engines.ts";
import { makeNeighbour } from "../hand-made.ts";
import { median, timed } from "../measure.ts";
import type { NetLoad } from "../net-load.ts";
import { add, ms } from "../report.ts";
import { type Effort, placeOf, published, removeContainer, startIdle } from "./network-members.ts";

const network = "bench-growth";
const firstPort = 22_000;
const echoPort = 23_000;
const acceptPort = firstPort;

/** What is measured at one number of containers. */
interface Sample {
  readonly startMs: number;
  readonly lookupUs: number;
  readonly packetUs: number;
  readonly connectionsPerSecond: number;
}

function member(engine: EngineUnderTest, index: number): Promise<string> {
  const { host, config } = published(firstPort + index, 1);
  return startIdle(engine, { NetworkMode: network, ...host }, { ...config }, `bench-growth-${index}`);
}

/** The median of a few: the engines are not measured in turn here, so noise meets them apart. */
async function often(measure: () => Promise<number>): Promise<number> {
  const values: number[] = [];
  for (let round = 0; round < 5; round++) values.push(await measure());
  return median(values);
}

/** Fills the network; the first member serves, the second loads. */
async function grow(engine: EngineUnderTest, load: NetLoad, { sizes, ms: length }: Effort): Promise<readonly Sample[]> {
  await engine.api.text("POST", "/networks/create", { Name: network });
  using neighbour = makeNeighbour(engine.namespace);
  const ids: string[] = [];
  const samples: Sample[] = [];
  const start = async (): Promise<number> =>
    timed(async () => {
      ids.push(await member(engine, ids.length));
    });
  try {
    await start();
    await start();
    const [server, client] = [await placeOf(engine, ids[0] ?? ""), await placeOf(engine, ids[1] ?? "")];
    await load.serve(server.where, "echo", echoPort);
    await load.serve(server.where, "accept", acceptPort);
    for (const size of sizes) {
      const last: number[] = [];
      while (ids.length < size + 1 || last.length < 3) last.push(await start());
      const names = [`bench-growth-0`, `bench-growth-${ids.length - 1}`];
      samples.push({
        startMs: median(last.slice(-5)),
        lookupUs: await often(async () => (await load.lookup(client.where, names, length, 1)).medianUs),
        packetUs: await often(() => load.ping(client.where, server.address, echoPort, 2000)),
        connectionsPerSecond: await often(() =>
          load.connect(neighbour.where, neighbour.engineAddress, acceptPort, length),
        ),
      });
    }
  } finally {
    for (const id of ids) await removeContainer(engine, id);
    await engine.api.text("DELETE", `/networks/${network}`);
  }
  return samples;
}

/** How a figure changed from the fewest containers to the most, both engines'. Budgets: at most half as much again. */
function compare(
  what: string,
  figures: readonly (readonly number[])[],
  sizes: readonly number[],
  show: (value: number) => string,
  isRate = false,
): void {
  const [ours = [], peer = []] = figures;
  const factor = (values: readonly number[]): number => {
    const [first = Number.NaN, last = Number.NaN] = [values[0], values.at(-1)];
    return isRate ? first / last : last / first;
  };
  const line = (values: readonly number[]): string => values.map(show).join(" → ");
  add({
    what: `${what}, at ${sizes.join(", ")} containers`,
    gantry: line(ours),
    peer: line(peer),
    ratio: `grows × ${factor(ours).toFixed(2)}, peer × ${factor(peer).toFixed(2)}`,
    budget: "× 1.5",
    met: factor(ours) <= 1.5,
  });
}

export async function growth(engines: readonly EngineUnderTest[], load: NetLoad, effort: Effort): Promise<void> {
  const samples: (readonly Sample[])[] = [];
  for (const engine of engines) samples.push(await grow(engine, load, effort));
  const of = (pick: (sample: Sample) => number): readonly (readonly number[])[] =>
    samples.map((list) => list.map(pick));
  const us = (value: number): string => `${value.toFixed(0)} µs`;
  compare(
    "create + start with a port",
    of((sample) => sample.startMs),
    effort.sizes,
    ms,
  );
  compare(
    "look-up",
    of((sample) => sample.lookupUs),
    effort.sizes,
    us,
  );
  compare(
    "a datagram there and back",
    of((sample) => sample.packetUs),
    effort.sizes,
    us,
  );
  compare(
    "connections through a port",
    of((sample) => sample.connectionsPerSecond),
    effort.sizes,
    (value) => `${value.toFixed(0)}/s`,
    true,
  );
}
