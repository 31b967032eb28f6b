import type { Solver, SolverDeps } from "./index.ts";
import { EngineError } from "../../../base/errors.ts";
export function createSolver(_deps: SolverDeps): Promise<Solver> {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
