// What is asked of a registry without taking an image: search, distribution inspect, login.
import type { DistributionInspect, RegistryCredentials } from "../api/ports.ts";
import { EngineError } from "../../base/errors.ts";
import type { ImagesDeps } from "./images.ts";
import type { Images } from "./index.ts";

export async function searchRegistry(
  _deps: ImagesDeps,
  _request: Parameters<Images["search"]>[0],
  _signal: AbortSignal,
): ReturnType<Images["search"]> {
  throw new EngineError("NotImplemented", "search");
}

export async function inspectDistribution(
  _deps: ImagesDeps,
  _name: string,
  _credentials: RegistryCredentials | undefined,
  _signal: AbortSignal,
): Promise<DistributionInspect> {
  throw new EngineError("NotImplemented", "distribution");
}

export async function loginToRegistry(
  _deps: ImagesDeps,
  _credentials: RegistryCredentials,
  _signal: AbortSignal,
): ReturnType<Images["login"]> {
  throw new EngineError("NotImplemented", "login");
}
