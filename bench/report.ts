// The rows of one run: printed as they come, kept for bench/RESULTS.md.

export interface Row {
  readonly what: string;
  readonly gantry: string;
  readonly peer: string;
  readonly ratio: string;
  readonly budget: string;
  readonly met: boolean;
}

export const rows: Row[] = [];

export function ms(value: number): string {
  return value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value.toFixed(1)} ms`;
}

export function ratio(ours: number, peer: number): string {
  return peer >= ours ? `1/${(peer / ours).toFixed(1)}` : (ours / peer).toFixed(2);
}

export function add(row: Row): void {
  rows.push(row);
  process.stdout.write(
    `${row.met ? "met   " : "MISSED"} ${row.what}: ${row.gantry}, peer ${row.peer}, ratio ${row.ratio}, budget ${row.budget}\n`,
  );
}
