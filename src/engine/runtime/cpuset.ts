// Lists of CPUs and memory nodes, "0-3,7": parsed without ever making the list (a client may send 1-1000000000).
// Source: cpuset(7), "List format".

/** Highest number that a list may name, as in dockerd. */
const maxNumber = 8192;

/** Highest number in the list; "format" or "range" where it is none. */
function highestOf(list: string): number | "format" | "range" {
  if (list.length > 65_536) return "format";
  let highest = -1;
  for (const part of list.split(",")) {
    const match = /^([0-9]{1,19})(?:-([0-9]{1,19}))?$/.exec(part);
    if (match === null) return "format";
    const low = Number(match[1]);
    const high = Number(match[2] ?? match[1]);
    if (low > high) return "format";
    if (high > maxNumber) return "range";
    highest = Math.max(highest, high);
  }
  return highest;
}

/**
 * Complaints about CpusetCpus ("cpus") or CpusetMems ("mems"), in dockerd's words.
 *
 * @param available how many CPUs there are; undefined leaves that check to the kernel
 */
export function checkCpuset(kind: "cpus" | "mems", list: string, available: number | undefined): readonly string[] {
  if (list === "") return [];
  const highest = highestOf(list);
  const shown = list.length > 200 ? `${list.slice(0, 200)}…` : list;
  if (highest === "format") return [`Invalid value ${shown} for cpuset ${kind}: invalid format: ${shown}`];
  if (highest === "range") {
    return [`Invalid value ${shown} for cpuset ${kind}: value of out range, maximum is ${maxNumber}`];
  }
  if (available === undefined || highest < available) return [];
  const there = available === 1 ? "0" : `0-${available - 1}`;
  return [`Requested CPUs are not available - requested ${shown}, available: ${there}`];
}
