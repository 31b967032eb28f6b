// Lines of a text with those marked that something is said of.

/** Lines from 1, the last one included. */
export interface LineRange {
  readonly start: { readonly line: number };
  readonly end: { readonly line: number };
}

const ruler = "-".repeat(20);

/**
 * The lines around `ranges`, marked with `>>>`, as buildx prints them: two more on each side of one line, one more on each side of
 * several. "" when no range is inside of the text.
 */
export function renderExcerpt(source: string, filename: string, ranges: readonly LineRange[]): string {
  const lines = source.split("\n").map((line) => line.replace(/\r$/, ""));
  const marked = ranges
    .filter(({ start }) => start.line >= 1 && start.line <= lines.length)
    .map(({ start, end }) => ({ first: start.line, last: Math.min(lines.length, Math.max(start.line, end.line)) }));
  if (marked.length === 0) return "";
  const first = Math.min(...marked.map((range) => range.first));
  const last = Math.max(...marked.map((range) => range.last));
  const margin = first === last ? 2 : 1;
  const rows = [`${filename}:${first}`, ruler];
  for (let number = Math.max(1, first - margin); number <= Math.min(lines.length, last + margin); number++) {
    const mark = marked.some((range) => number >= range.first && number <= range.last) ? ">>>" : "   ";
    rows.push(` ${String(number).padStart(3)} | ${mark} ${lines[number - 1] ?? ""}`);
  }
  return [...rows, ruler, ""].join("\n");
}
