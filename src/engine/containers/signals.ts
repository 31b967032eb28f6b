// Signals by name and number, as Docker takes them: "SIGTERM", "term", "15", "RTMIN+3".
// Source: signal(7) for x86 and arm; dockerd's texts.

import { constants } from "node:os";
import { EngineError } from "../../base/errors.ts";

const rtMin = 34;
const rtMax = 64;

/** @throws InvalidParameter "invalid signal: x" */
export function parseSignal(text: string): number {
  const invalid = (): EngineError => new EngineError("InvalidParameter", `invalid signal: ${text}`);
  if (/^[+-]?\d+$/.test(text)) {
    const number = Number(text);
    if (number === 0) throw invalid();
    if (number < 1 || number > rtMax)
      throw new EngineError("InvalidParameter", `the linux daemon does not support signal ${number}`);
    return number;
  }
  const name = text.toUpperCase().replace(/^SIG/, "");
  const named = Object.entries(constants.signals).find(([signal]) => signal === `SIG${name}`)?.[1];
  if (named !== undefined) return named;
  const real = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (real === null) throw invalid();
  const offset = Number(real[3] ?? 0) * (real[2] === "-" ? -1 : 1);
  const number = (real[1] === "MIN" ? rtMin : rtMax) + offset;
  if (number < rtMin || number > rtMax) throw invalid();
  return number;
}

export const sigkill = constants.signals.SIGKILL;
export const sigterm = constants.signals.SIGTERM;
