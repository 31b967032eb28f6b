// --format of lists: "table", "table TEMPLATE", "json", "raw TEMPLATE"s of fields. A row is an object of cells; its functions
// are methods with arguments. Source: the docker CLI 28's formatter.

import { CliError } from "../command.ts";
import { escapeCell, escapeControls } from "../escape.ts";
import { layOutTabs } from "./tabwriter.ts";
import { renderJson } from "./template-functions.ts";
import { compileTemplate, TemplateError, type Template } from "./template.ts";

/** What a list shows: field → value; null prints as JSON null. */
export type Row = Readonly<Record<string, unknown>>;

export interface TableSpec {
  /** Field → column title. */
  readonly headers: Readonly<Record<string, string>>;
  /** The template of `table` alone. */
  readonly defaultTable: string;
  /** How Go names the row's type, in error messages. */
  readonly typeName: string;
  /** Docker tries the template of this list out before it asks for rows, and complains in other words. */
  readonly triedFirst?: boolean;
  /** Cells of the fixed table keep this; names of methods with arguments, e.g. Label. */
  readonly methods?: readonly string[];
}

function escapeHtml(json: string): string {
  return json.replace(/[<>&]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function compile(
  { triedFirst }: TableSpec,
  text: string,
  functions: Readonly<Record<string, (...args: readonly unknown[]) => unknown>>,
): Template {
  const complaint = triedFirst === true ? "failed to parse template" : "template parsing error";
  try {
    return compileTemplate(text, { functions });
  } catch (error) {
    if (error instanceof TemplateError) throw new CliError(`${complaint}: ${error.message}`);
    throw error;
  }
}

function execute(template: Template, row: Row, { triedFirst, typeName }: TableSpec): string {
  const complaint = triedFirst === true ? "failed to execute template" : "template parsing error";
  try {
    return template.execute(row);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    const message = error.message.replace(
      /map has no entry for key "([^"]*)"$/,
      (_, name: string) => `can't evaluate field ${name} in type ${typeName}`,
    );
    throw new CliError(`${complaint}: ${message}`);
  }
}

const firstArgument = (first: unknown): unknown => first;
const headerFunctions = {
  json: firstArgument,
  title: firstArgument,
  lower: firstArgument,
  upper: firstArgument,
  truncate: firstArgument,
  split: firstArgument,
  join: firstArgument,
};

/**
 * Renders rows in a format.
 *
 * @param format     what --format said; "" and "table" are the default table
 * @param isTerminal control characters of custom templates are escaped for a terminal only
 * @throws CliError  the template cannot be parsed or evaluated
 */
export function renderRows(spec: TableSpec, rows: readonly Row[], format: string, isTerminal: boolean): string {
  const isTable = format === "" || format === "table" || /^table(\s|\{\{)/.test(format);
  let text = format;
  if (format === "" || format === "table") text = spec.defaultTable;
  else if (isTable) text = format.slice("table".length);
  else if (format === "json") text = "{{json .}}";
  text = text.trim().replaceAll("\\t", "\t").replaceAll("\\n", "\n");

  const current: { row: Row | undefined } = { row: undefined };
  const template = compile(spec, text, {
    json: (value) =>
      value === current.row && current.row !== undefined ? renderRowJson(current.row) : renderJson(value),
  });
  const lines: string[] = [];
  for (const row of rows) {
    const shown = isTable ? escapeRow(row) : row;
    current.row = shown;
    lines.push(execute(template, shown, spec));
  }
  if (!isTable) {
    const out = lines.map((line) => `${line}\n`).join("");
    return isTerminal ? escapeControls(out) : out;
  }
  const headers: Row = {
    ...spec.headers,
    ...Object.fromEntries((spec.methods ?? []).map((name) => [name, (argument: unknown) => labelTitle(argument)])),
  };
  const withFallback = compileTemplate(text, { functions: headerFunctions, missing: () => "<no value>" });
  let header: string;
  try {
    header = withFallback.execute(headers);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    header = "";
  }
  return layOutTabs(`${[header, ...lines].join("\n")}\n`);
}

/** The title that a label's column gets: the last part of its name, words apart. */
function labelTitle(argument: unknown): string {
  const words = String(argument).split(".");
  return (words.at(-1) ?? "").replaceAll("-", " ").replaceAll("_", " ");
}

function renderRowJson(row: Row): string {
  const sorted = Object.entries(row)
    .filter(([, value]) => typeof value !== "function")
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return escapeHtml(renderJson(Object.fromEntries(sorted)));
}

function escapeRow(row: Row): Row {
  return Object.fromEntries(
    Object.entries(row).map(([key, value]) => {
      if (typeof value === "string") return [key, escapeCell(value)];
      if (typeof value !== "function") return [key, value];
      const method = value as (...args: readonly unknown[]) => unknown;
      return [
        key,
        (...args: readonly unknown[]) => {
          const result = method(...args);
          return typeof result === "string" ? escapeCell(result) : result;
        },
      ];
    }),
  );
}
