// Elastic tab stops as Go's text/tabwriter lays them out for Docker's tables: a cell is what a tab ends; the cells of a column
// in consecutive lines share one width; a line's last cell belongs to no column. Source: behaviour of text/tabwriter.

export interface TabOptions {
  /** Least width of a column, padding included. */
  readonly minWidth: number;
  /** Spaces after the widest cell. */
  readonly padding: number;
}

/** Docker's tables. */
export const tableTabs: TabOptions = { minWidth: 10, padding: 3 };

function widthOf(text: string): number {
  return Array.from(text).length;
}

/** Lays out lines of tab-separated cells; a final newline stays. */
export function layOutTabs(text: string, options: TabOptions = tableTabs): string {
  const lines = text.split("\n").map((line) => line.split("\t"));
  const widths = lines.map((cells) => cells.slice(0, -1).map(() => 0));
  for (let row = 0; row < lines.length; row++) {
    const cells = widths[row] ?? [];
    for (let column = 0; column < cells.length; column++) {
      if (cells[column] !== 0) continue;
      let end = row;
      let width = 0;
      let anyText = false;
      while (end < lines.length && column < (lines[end]?.length ?? 0) - 1) {
        const cell = lines[end]?.[column] ?? "";
        width = Math.max(width, widthOf(cell) + options.padding);
        anyText ||= cell !== "";
        end += 1;
      }
      width = anyText || options.minWidth > 0 ? Math.max(width, options.minWidth) : 0;
      for (let index = row; index < end; index++) {
        const target = widths[index];
        if (target !== undefined) target[column] = width;
      }
    }
  }
  return lines
    .map((cells, row) =>
      cells
        .map((cell, column) => {
          const width = widths[row]?.[column];
          return width === undefined ? cell : cell + " ".repeat(Math.max(0, width - widthOf(cell)));
        })
        .join(""),
    )
    .join("\n");
}
