// Limits of steps for which nothing is asked.

import type { StepLimits } from "./index.ts";

export const noLimits: StepLimits = {
  extraHosts: [],
  shmSizeBytes: undefined,
  ulimits: [],
  cgroupParent: undefined,
  memoryBytes: undefined,
  memorySwapBytes: undefined,
  cpuShares: undefined,
  cpuPeriodUs: undefined,
  cpuQuotaUs: undefined,
  cpusetCpus: undefined,
  cpusetMems: undefined,
};
