// Networks beside dockerd: what it takes to make, connect and publish, what traffic and look-ups cost, and how all of it grows.
// --quick: fewer rounds and fewer containers, for a first look.

import type { EngineUnderTest } from "../engines.ts";
import { interleaved } from "../measure.ts";
import { buildNetLoad } from "../net-load.ts";
import { add, ms, ratio } from "../report.ts";
import { type Effort, published, removeContainer, startIdle } from "./network-members.ts";
import { growth } from "./network-growth.ts";
import { traffic } from "./network-traffic.ts";

const full: Effort = { rounds: 7, ms: 1000, sizes: [1, 100, 500] };
const quick: Effort = { rounds: 2, ms: 300, sizes: [1, 25] };

async function startWithPorts(engine: EngineUnderTest, count: number): Promise<void> {
  const { host, config } = published(20_000, count);
  await removeContainer(engine, await startIdle(engine, { ...host }, { ...config }));
}

async function createAndRemove(engine: EngineUnderTest): Promise<void> {
  const { Id } = await engine.api.json<{ readonly Id: string }>("POST", "/networks/create", { Name: "bench-made" });
  await engine.api.text("DELETE", `/networks/${Id}`);
}

async function control(engines: readonly EngineUnderTest[], effort: Effort): Promise<void> {
  const each = async (
    what: string,
    factor: number,
    rounds: number,
    work: (engine: EngineUnderTest) => Promise<unknown>,
  ): Promise<void> => {
    const contenders = engines.map((engine) => [engine.name, () => work(engine)] as const);
    const times = await interleaved(rounds, Object.fromEntries(contenders));
    const [ours = 0, peer = 0] = [times["gantry"], times["dockerd"]];
    const met = ours <= peer / factor;
    add({ what, gantry: ms(ours), peer: ms(peer), ratio: ratio(ours, peer), budget: `≤ 1/${factor}`, met });
  };
  await each("create + start + remove, one published port", 3, effort.rounds, (engine) => startWithPorts(engine, 1));
  await each("create + start + remove, 100 published ports", 5, Math.min(3, effort.rounds), (engine) =>
    startWithPorts(engine, 100),
  );
  await each("network create + rm", 2, effort.rounds, createAndRemove);

  const members = new Map<string, string>();
  for (const engine of engines) {
    await engine.api.text("POST", "/networks/create", { Name: "bench-more" });
    members.set(engine.name, await startIdle(engine));
  }
  await each("connect + disconnect of a running container", 2, effort.rounds, async (engine) => {
    const body = { Container: members.get(engine.name) };
    await engine.api.text("POST", "/networks/bench-more/connect", body);
    await engine.api.text("POST", "/networks/bench-more/disconnect", body);
  });
  for (const engine of engines) {
    await removeContainer(engine, members.get(engine.name) ?? "");
    await engine.api.text("DELETE", "/networks/bench-more");
  }
}

export async function network(gantry: EngineUnderTest, dockerd: EngineUnderTest): Promise<void> {
  const effort = process.argv.includes("--quick") ? quick : full;
  const engines = [gantry, dockerd];
  using load = buildNetLoad();
  await control(engines, effort);
  await traffic(engines, load, effort);
  await growth(engines, load, effort);
}
