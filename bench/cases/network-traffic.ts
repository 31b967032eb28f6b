// Traffic and look-ups: TCP from container to container and through a published port beside a bridge made by hand, connections
// through a published port, names from a user-defined network's name server.

import type { EngineUnderTest } from "../engines.ts";
import { type HandMade, makeByHand, makeNeighbour, type Neighbour } from "../hand-made.ts";
import { median } from "../measure.ts";
import type { NamespacePath, NetLoad } from "../net-load.ts";
import { add } from "../report.ts";
import { type Effort, placeOf, published, removeContainer, startIdle } from "./network-members.ts";

const sinkPort = 21_000;
const acceptPort = 21_001;

/** A server with published ports and a client, on a user-defined network, and a neighbour outside. */
interface Scene extends AsyncDisposable {
  readonly engine: EngineUnderTest;
  readonly server: { readonly where: NamespacePath; readonly address: string };
  readonly client: { readonly where: NamespacePath };
  readonly neighbour: Neighbour;
}

async function setScene(engine: EngineUnderTest, load: NetLoad): Promise<Scene> {
  const name = "bench-traffic";
  await engine.api.text("POST", "/networks/create", { Name: name });
  const { host, config } = published(sinkPort, 2);
  const ids = [
    await startIdle(engine, { NetworkMode: name, ...host }, { ...config }, "bench-server"),
    await startIdle(engine, { NetworkMode: name }, {}, "bench-client"),
  ];
  const [server, client] = [await placeOf(engine, ids[0] ?? ""), await placeOf(engine, ids[1] ?? "")];
  await load.serve(server.where, "sink", sinkPort);
  await load.serve(server.where, "accept", acceptPort);
  const neighbour = makeNeighbour(engine.namespace);
  return {
    engine,
    server,
    client,
    neighbour,
    async [Symbol.asyncDispose]() {
      neighbour[Symbol.dispose]();
      for (const id of ids) await removeContainer(engine, id);
      await engine.api.text("DELETE", `/networks/${name}`);
    },
  };
}

/** Medians over interleaved rounds. */
async function inTurn(
  rounds: number,
  contenders: Readonly<Record<string, () => Promise<number>>>,
): Promise<Readonly<Record<string, number>>> {
  const values: Record<string, number[]> = {};
  for (let round = -1; round < rounds; round++)
    for (const [name, measure] of Object.entries(contenders)) {
      const value = await measure();
      if (round >= 0) (values[name] ??= []).push(value);
    }
  return Object.fromEntries(Object.entries(values).map(([name, all]) => [name, median(all)]));
}

function rate(bytesPerSecond: number): string {
  return `${((bytesPerSecond * 8) / 1e9).toFixed(2)} Gbit/s`;
}

/** A row where more is better. */
function more(
  what: string,
  [ours, peer]: readonly [number, number],
  show: (value: number) => string,
  peerName: string,
  factor?: number,
): void {
  add({
    what,
    gantry: show(ours),
    peer: `${show(peer)}${peerName}`,
    ratio: (ours / peer).toFixed(2),
    budget: factor === undefined ? "–" : `≥ ${factor}`,
    met: factor === undefined || ours >= peer * factor,
  });
}

async function throughput(
  scenes: readonly Scene[],
  hand: HandMade,
  load: NetLoad,
  { rounds, ms }: Effort,
): Promise<void> {
  const [first, second] = hand.members;
  if (first === undefined || second === undefined) throw new Error("the bridge made by hand has no members");
  const inside = await inTurn(rounds, {
    hand: () => load.send(second.where, first.address, sinkPort, ms),
    ...Object.fromEntries(
      scenes.map(({ engine, client, server }) => [
        engine.name,
        () => load.send(client.where, server.address, sinkPort, ms),
      ]),
    ),
  });
  const outside = await inTurn(rounds, {
    hand: () => load.send(hand.neighbour, first.address, sinkPort, ms),
    ...Object.fromEntries(
      scenes.map(({ engine, neighbour }) => [
        engine.name,
        () => load.send(neighbour.where, neighbour.engineAddress, sinkPort, ms),
      ]),
    ),
  });
  for (const [what, found] of [
    ["TCP, container to container", inside],
    ["TCP, from a neighbour through a published port", outside],
  ] as const) {
    const { hand: byHand = 0, gantry = 0, dockerd = 0 } = found;
    more(what, [gantry, byHand], rate, " (veth pairs and bridge by hand)", 0.95);
    more(what, [gantry, dockerd], rate, "");
  }
}

async function connections(
  scenes: readonly Scene[],
  hand: HandMade,
  load: NetLoad,
  { rounds, ms }: Effort,
): Promise<void> {
  const [member] = hand.members;
  if (member === undefined) throw new Error("the bridge made by hand has no members");
  const {
    hand: byHand = 0,
    gantry = 0,
    dockerd = 0,
  } = await inTurn(rounds, {
    hand: () => load.connect(hand.neighbour, member.address, acceptPort, ms),
    ...Object.fromEntries(
      scenes.map(({ engine, neighbour }) => [
        engine.name,
        () => load.connect(neighbour.where, neighbour.engineAddress, acceptPort, ms),
      ]),
    ),
  });
  const show = (value: number): string => `${value.toFixed(0)}/s`;
  more("connections through a published port", [gantry, byHand], show, " (routed to the bridge by hand)");
  more("connections through a published port", [gantry, dockerd], show, "", 1);
}

async function names(scenes: readonly Scene[], load: NetLoad, { rounds, ms }: Effort): Promise<void> {
  const asked = ["bench-server"];
  const single = await inTurn(
    rounds,
    Object.fromEntries(
      scenes.map(({ engine, client }) => [
        engine.name,
        async () => (await load.lookup(client.where, asked, ms, 1)).medianUs,
      ]),
    ),
  );
  const many = await inTurn(
    rounds,
    Object.fromEntries(
      scenes.map(({ engine, client }) => [
        engine.name,
        async () => (await load.lookup(client.where, asked, ms, 64)).perSecond,
      ]),
    ),
  );
  const [oursUs = 0, peerUs = 0] = [single["gantry"], single["dockerd"]];
  add({
    what: "look-up of a container's name, median",
    gantry: `${oursUs.toFixed(0)} µs`,
    peer: `${peerUs.toFixed(0)} µs`,
    ratio: (oursUs / peerUs).toFixed(2),
    budget: "≤ 1 ms",
    met: oursUs <= 1000,
  });
  const [ours = 0, peer = 0] = [many["gantry"], many["dockerd"]];
  add({
    what: "look-ups of a container's name, 64 under way",
    gantry: `${ours.toFixed(0)}/s`,
    peer: `${peer.toFixed(0)}/s`,
    ratio: (ours / peer).toFixed(2),
    budget: "≥ 5,000/s",
    met: ours >= 5000,
  });
}

export async function traffic(engines: readonly EngineUnderTest[], load: NetLoad, effort: Effort): Promise<void> {
  using hand = makeByHand();
  await using scenes = new AsyncDisposableStack();
  const set: Scene[] = [];
  for (const engine of engines) set.push(scenes.use(await setScene(engine, load)));
  for (const { where } of hand.members.slice(0, 1)) {
    await load.serve(where, "sink", sinkPort);
    await load.serve(where, "accept", acceptPort);
  }
  await throughput(set, hand, load, effort);
  await connections(set, hand, load, effort);
  await names(set, load, effort);
}
