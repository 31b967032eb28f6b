// Bodies of /volumes: every field that API 1.51 knows, with the Go type that error texts name; and Gantry's own of an update.
// Source: Engine API 1.51, VolumeCreateOptions; operation VolumeUpdate.

import { map, object, string } from "../schema.ts";

const str = string();
const stringMap = map(str);
/** Looked at for its presence alone: there is no swarm. */
const clusterSpec = object("volume.ClusterVolumeSpec", {});

export const createSchema = object("volume.CreateOptions", {
  ClusterVolumeSpec: clusterSpec,
  Driver: str,
  DriverOpts: stringMap,
  Labels: stringMap,
  Name: str,
});

export const updateSchema = object("volume.UpdateOptions", { Spec: clusterSpec, Labels: stringMap });
