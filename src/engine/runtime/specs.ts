// createRuntimeSpecs: the pure half of the runtime room put together.

import { ConfinedFileCache } from "./confined-file-cache.ts";
import { buildExecProcess } from "./exec-process.ts";
import type { RuntimeSpecs } from "./index.ts";
import { createSeccompPlanner } from "./seccomp/plan.ts";
import { createSpecHost } from "./spec-host.ts";
import type { SpecHost } from "./spec-host.ts";
import { buildSpec } from "./spec.ts";
import { resolveUser } from "./user.ts";
import { validate } from "./validate.ts";

/** @param host what is asked of the machine; the running one by default */
export function createRuntimeSpecs(host: SpecHost = createSpecHost()): RuntimeSpecs {
  const seccomp = createSeccompPlanner();
  const files = new ConfinedFileCache();
  return {
    validate: (config, hostConfig, facts) => validate(config, hostConfig, facts, host),
    buildSpec: (input) => buildSpec(input, host, seccomp),
    buildExecProcess: (spec, exec) => buildExecProcess(spec, exec, host.capabilities),
    resolveUser: (user, groupAdd, roots) => resolveUser(user, groupAdd, roots, (...file) => files.read(...file)),
  };
}
