// POST /networks/{id}/connect and /disconnect: a container's place on a network, while it runs and while it does not.
//
//   decide and reserve → record, endpoint and sandbox rows with a "connection" row of the journal (one commit) → the shim makes the
//   network what it shall be → hosts and resolv.conf → the journal's row goes → event
//
// What the shim refuses is taken back whole. A daemon that dies in between leaves rows that say how it shall be; the next one tells
// the shim again (restore.ts).

import { randomUUID } from "node:crypto";
import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { EndpointSettings } from "../../spec/docker/container.ts";
import type { ConnectedNetwork, NetworkChange } from "../network/index.ts";
import type { Change } from "../store/index.ts";
import type { Container, Task } from "./container.ts";
import type { ContainerRecord } from "./model.ts";
import { announceNetwork } from "./network-events.ts";
import { updateNetworkFiles, withLinkedFiles } from "./network-files.ts";
import { networkRequest } from "./network-request.ts";
import { resolveContainer } from "./resolve.ts";
import type { Room } from "./room.ts";

/**
 * @throws NotFound         the container, or the network
 * @throws Forbidden        already connected
 * @throws InvalidParameter settings that are wrong, or networks that cannot be combined
 * @throws Conflict         being removed, or an address or port in use
 * Order: takes the container's mutex; network/ and store/ may take their own inside.
 */
export async function connectNetwork(
  room: Room,
  networkName: string,
  containerName: string,
  settings: EndpointSettings,
): Promise<void> {
  const id = resolveContainer(room, containerName);
  using held = await room.lock(id);
  const { container } = held;
  const { record, task } = container;
  const { networks } = room.deps;
  refuseRemoved(container);
  const network = networks.find(networkName);
  const asked = askedNames(room, record);
  refuseConnect(record, network, Object.keys(asked));
  const wrong = networks.validateEndpoint(network.name, settings);
  if (wrong.length > 0) throw new EngineError("InvalidParameter", wrong.join("\n"));
  const after = withNetworks(record, { ...asked, [network.name]: kept(settings) });
  if (task === undefined) {
    await room.commit(container, after);
    return;
  }
  if (networks.connected(id).some((other) => other.id === network.id))
    throw new EngineError("Forbidden", `endpoint with name ${record.name} already exists in network ${network.name}`);
  await changeNetworks(room, container, task, after, () =>
    networks.join(networkRequest(room, record), networkRequest(room, after), network.id),
  );
  announceNetwork(room, container, network, "connect");
}

/**
 * @param force a container that is gone is no reason to say another thing than that it has no endpoint
 * @throws NotFound         the container, or the network
 * @throws InvalidParameter the host's network
 * @throws System           it is not connected
 */
export async function disconnectNetwork(
  room: Room,
  networkName: string,
  containerName: string,
  force: boolean,
): Promise<void> {
  const { networks } = room.deps;
  const id = findContainer(room, networkName, containerName, force);
  using held = await room.lock(id);
  const { container } = held;
  const { record, task } = container;
  refuseRemoved(container);
  const network = networks.find(networkName);
  const asked = askedNames(room, record);
  const isAsked = Object.hasOwn(asked, network.name);
  if (isAsked && network.driver === "host")
    throw new EngineError(
      "InvalidParameter",
      "cannot disconnect container from host network - container was created in host network mode",
    );
  const { [network.name]: _left, ...others } = asked;
  const after = withNetworks(record, others);
  if (task === undefined) {
    if (!isAsked) throw new EngineError("System", `container ${id} is not connected to the network ${network.name}`);
    await room.commit(container, after);
    return;
  }
  if (!networks.connected(id).some((other) => other.id === network.id))
    throw new EngineError("System", `container ${id} is not connected to network ${network.name}`);
  await changeNetworks(room, container, task, after, () =>
    networks.leave(networkRequest(room, record), networkRequest(room, after), network.id),
  );
  announceNetwork(room, container, network, "disconnect");
}

function findContainer(room: Room, networkName: string, containerName: string, force: boolean): ContainerId {
  try {
    return resolveContainer(room, containerName);
  } catch (error) {
    if (!force || !isEngineError(error, "NotFound")) throw error;
    room.deps.networks.find(networkName);
    throw new EngineError("NotFound", `endpoint ${containerName} not found`, { cause: error });
  }
}

function refuseRemoved({ id, removing }: Container): void {
  if (removing)
    throw new EngineError(
      "Conflict",
      `container ${id} is marked for removal and cannot be connected or disconnected to the network`,
    );
}

function refuseConnect(record: ContainerRecord, network: ConnectedNetwork, asked: readonly string[]): void {
  const { hostConfig, config } = record;
  const mode = hostConfig.NetworkMode ?? "";
  const refuse = (text: string): never => {
    throw new EngineError("InvalidParameter", text);
  };
  if (network.configOnly) throw new EngineError("Forbidden", "cannot create endpoint on configuration-only network");
  if (mode.startsWith("container:") || (mode === "host" && network.driver !== "host"))
    refuse(
      "container sharing network namespace with another container or host cannot be connected to any other network",
    );
  if (network.driver === "host" && mode !== "host")
    refuse("cannot connect container to host network - container must be created in host network mode");
  if (config.NetworkDisabled === true) refuse("the container was created without networks (NetworkDisabled)");
  const others = asked.filter((name) => name !== network.name);
  if ((network.driver === "null" && others.length > 0) || others.includes("none"))
    refuse("container cannot be connected to multiple networks with one of the networks in private (none) mode");
}

/** What a record asks for, by the networks' names. */
function askedNames(
  room: Room,
  { hostConfig, networkingConfig }: ContainerRecord,
): Readonly<Record<string, EndpointSettings>> {
  return (
    networkingConfig.EndpointsConfig ?? { [room.deps.networks.canonicalName(hostConfig.NetworkMode || "bridge")]: {} }
  );
}

function withNetworks(record: ContainerRecord, endpoints: Readonly<Record<string, EndpointSettings>>): ContainerRecord {
  return { ...record, networkingConfig: { EndpointsConfig: endpoints } };
}

/** What the client has a say in; the rest of an endpoint's fields are ours. */
function kept({ IPAMConfig, Links, MacAddress, Aliases, DriverOpts, GwPriority }: EndpointSettings): EndpointSettings {
  return {
    ...(IPAMConfig === undefined ? {} : { IPAMConfig }),
    ...(Links === undefined ? {} : { Links }),
    ...(MacAddress === undefined ? {} : { MacAddress }),
    ...(Aliases === undefined ? {} : { Aliases }),
    ...(DriverOpts === undefined ? {} : { DriverOpts }),
    ...(GwPriority === undefined ? {} : { GwPriority }),
  };
}

async function changeNetworks(
  room: Room,
  container: Container,
  task: Task,
  after: ContainerRecord,
  decide: () => NetworkChange,
): Promise<void> {
  const { networks } = room.deps;
  const before = container.record;
  // A key of its own: the row of the last change may be on its way out.
  const opId = `connection:${before.id}:${randomUUID()}`;
  if (networks.wanted(networkRequest(room, before)) === undefined)
    throw new EngineError(
      "Conflict",
      `container ${before.name} was started by an engine that could not change networks; restart it first`,
    );
  const filesBefore = await networks.files(networkRequest(room, before));
  await withLinkedFiles(room, before.id, async () => {
    const change = decide();
    try {
      await failpoint("container.network.decided");
      const row = { id: opId, kind: "connection", subject: before.id, step: 0, payload: "" };
      await room.commit(container, after, [{ put: "ops", row }, ...change.changes]);
    } catch (error) {
      change.undo();
      throw error;
    }
    try {
      await failpoint("container.network.intended");
      await tellShim(task, change);
      await failpoint("container.network.told");
    } catch (error) {
      await takeBack(room, container, task, { before, change, opId });
      throw error;
    }
    change.finish();
  });
  updateNetworkFiles(room, before.id, filesBefore, await networks.files(networkRequest(room, after)));
  await failpoint("container.network.written");
  room.settle(opId, before.id);
}

async function tellShim(task: Task, { network }: NetworkChange): Promise<void> {
  try {
    await task.shim.setNetwork(network);
  } catch (error) {
    // It has ended meanwhile: its end frees everything, and the next start connects what the record says.
    if (!isEngineError(error, "NotFound")) throw error;
  }
}

/** The record and the rows are what they were, and so is the network, as far as the shim can do it. */
async function takeBack(
  room: Room,
  container: Container,
  task: Task,
  taken: { readonly before: ContainerRecord; readonly change: NetworkChange; readonly opId: string },
): Promise<void> {
  const { before, change, opId } = taken;
  const { logger } = room.deps;
  const log = (error: unknown): void =>
    logger.error("a change of networks could not be taken back", { container: before.id, error: messageOf(error) });
  const told = await task.shim.setNetwork(change.before).then(
    () => true,
    (error: unknown) => {
      log(error);
      return false;
    },
  );
  // Only now: until the shim has let go, what the change reserved is the container's.
  const rows = change.undo();
  // With the journal's row the next daemon tells the shim again.
  const settled: readonly Change[] = told ? [{ delete: "ops", key: opId }] : [];
  await room
    .commit(container, { ...container.record, networkingConfig: before.networkingConfig }, [...rows, ...settled])
    .catch(log);
}
