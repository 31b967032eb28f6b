// What all inspect commands share: indented JSON as the daemon sent it, --format json, and templates. Failures come last.

import type { CommandContext } from "./command.ts";
import { CliError, JoinedError } from "./command.ts";
import { describeError } from "./errors.ts";
import { compileTemplate, TemplateError } from "./format/template.ts";
import { zeroOf } from "./format/zero-values.ts";
import { indentJson } from "../../client/json.ts";

/** An object: its JSON text, and the same parsed. */
export interface Inspected {
  readonly text: string;
  readonly value: unknown;
}

/**
 * @param fetch  throws for what does not exist
 * @throws JoinedError what could not be found, after everything else was printed
 */
export async function inspectObjects(
  context: CommandContext,
  names: readonly string[],
  format: string,
  fetch: (name: string) => Promise<Inspected>,
): Promise<void> {
  const found: Inspected[] = [];
  const failures: string[] = [];
  for (const name of names) {
    try {
      found.push(await fetch(name));
    } catch (error) {
      failures.push(describeError(error));
    }
  }
  await context.out(render(found, format));
  if (failures.length > 0) throw new JoinedError(failures);
}

function render(found: readonly Inspected[], format: string): string {
  if (format === "" || format === "json") {
    const array = `[${found.map(({ text }) => text.trim()).join(",")}]`;
    return format === "json" ? `${compactJson(array)}\n` : `${indentJson(array, "", "    ")}\n`;
  }
  try {
    const template = compileTemplate(format, { missing: zeroOf });
    return found.map(({ value }) => `${template.execute(value)}\n`).join("");
  } catch (error) {
    if (error instanceof TemplateError) throw new CliError(`template parsing error: ${error.message}`);
    throw error;
  }
}

/** Go's encoder escapes <, > and & in this form. */
function compactJson(text: string): string {
  return indentJson(text, "", "").replace(/\n/g, "").replace(/": /g, '":');
}
