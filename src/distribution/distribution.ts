// (being written)
import { EngineError } from "../base/errors.ts";
import type { Distribution, DistributionDeps } from "./index.ts";

/** Makes the client. */
export function createDistribution(_deps: DistributionDeps): Distribution {
  const missing = async (): Promise<never> => {
    throw new EngineError("NotImplemented", "distribution");
  };
  return { repository: missing, login: missing, search: missing, close: () => undefined };
}
