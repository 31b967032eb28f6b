// POST /commit: the container's writable layer becomes the top layer of a new image. A running container stands still while its
// files are read, and only then; the image is made of what was read after it goes on.

import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { ContainerId } from "../../base/ids.ts";
import { parseNamed, renderFamiliar } from "../../base/reference.ts";
import { nowRfc3339Nano } from "../../base/time.ts";
import type { CommitRequest } from "../api/ports.ts";
import { layerQuota, namingFullDisk } from "../images/layer-quota.ts";
import type { StagedLayer } from "../snapshots/index.ts";
import { planCommitConfig } from "./commit-config.ts";
import type { Container } from "./container.ts";
import { pause, thaw } from "./pause.ts";
import { renderConfig } from "./render-config.ts";
import type { Room } from "./room.ts";

/** Of the tar without a member: a commit of it brings no layer. */
const emptyDiffId = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/**
 * @returns the image's id
 * @throws InvalidParameter an instruction
 * @throws Conflict         being removed
 * @throws NotFound         the image that it was made from is gone
 * @throws DataLoss, System its files cannot be read
 * Order: holds the container's mutex while its files are read, not while the image is committed.
 */
export async function commitContainer(
  room: Room,
  id: ContainerId,
  request: CommitRequest,
  signal: AbortSignal,
): Promise<string> {
  const { images } = room.deps;
  const container = room.get(id);
  const { record } = container;
  const config = planCommitConfig(request.config, request.changes, record.config);
  const { config: base } = await images.get(record.imageId);
  const layer = await readLayer(room, id, request.pause, signal);
  try {
    await failpoint("container.commit.read");
    const created = nowRfc3339Nano();
    const { path, args } = record;
    const step = {
      created,
      created_by: [path, ...args].join(" "),
      ...(request.author === "" ? {} : { author: request.author }),
      ...(request.comment === "" ? {} : { comment: request.comment }),
    };
    const reference = request.reference === undefined ? undefined : parseNamed(request.reference);
    const imageId = await images.commit(
      {
        base: record.imageId,
        layer: layer.diffId === emptyDiffId ? undefined : layer,
        reference,
        config: {
          ...(request.author === "" ? {} : { author: request.author }),
          architecture: base.architecture,
          ...(base.variant === undefined ? {} : { variant: base.variant }),
          os: base.os,
          created,
          config: renderConfig(config),
          container: id,
          container_config: renderConfig(record.config),
          history: step,
        },
      },
      signal,
    );
    room.announce(container, "commit", {
      comment: request.comment,
      imageID: imageId,
      imageRef: reference === undefined ? "" : renderFamiliar(reference),
    });
    return imageId;
  } finally {
    await layer.release();
  }
}

async function readLayer(room: Room, id: ContainerId, mayPause: boolean, signal: AbortSignal): Promise<StagedLayer> {
  using held = await room.lock(id);
  const { container } = held;
  if (container.removing) throw new EngineError("Conflict", `You cannot commit container ${id} which is being removed`);
  const quota = await layerQuota(room.deps.paths);
  const stage = async (): Promise<StagedLayer> => {
    try {
      return await room.deps.snapshots.stageWritable(id, quota, signal);
    } catch (error) {
      throw namingFullDisk(room.deps.paths, `commit of container ${id}`, quota, error);
    }
  };
  return mayPause && container.record.state.status === "running" ? whilePaused(room, container, stage) : stage();
}

/** The container is shown as paused meanwhile, as in dockerd: with the mutex held nobody else can wake it. */
async function whilePaused<T>(room: Room, container: Container, act: () => Promise<T>): Promise<T> {
  await pause(room, container, "commit");
  try {
    await failpoint("container.commit.paused");
    return await act();
  } finally {
    await thaw(room, container);
  }
}
