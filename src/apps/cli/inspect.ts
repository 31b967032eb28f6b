// What all inspect commands share: indented JSON as the daemon sent it, --format json, and templates. Failures come last.

import type { CommandContext } from "./command.ts";
import { CliError, JoinedError } from "./command.ts";
import { describeError } from "./errors.ts";
import { compileTemplate, TemplateError, type Template } from "./format/template.ts";
import { renderNull, zeroOf } from "./format/zero-values.ts";
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
  await show(context, found, format);
  if (failures.length > 0) throw new JoinedError(failures);
}

async function show(context: CommandContext, found: readonly Inspected[], format: string): Promise<void> {
  if (format === "" || format === "json") {
    const array = `[${found.map(({ text }) => text.trim()).join(",")}]`;
    return context.out(format === "json" ? `${compactJson(array)}\n` : `${indentJson(array, "", "    ")}\n`);
  }
  const template = compile(format);
  let out = "";
  try {
    for (const { value } of found) out += `${template.execute(value)}\n`;
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    await context.out(out || "\n");
    throw new CliError(`template parsing error: ${error.message}`);
  }
  await context.out(out || "\n");
}

function compile(format: string): Template {
  try {
    return compileTemplate(format, { missing: zeroOf, renderNull });
  } catch (error) {
    if (error instanceof TemplateError)
      throw new CliError(`template parsing error: ${error.message}`, { exitCode: 64 });
    throw error;
  }
}

/** Go's encoder escapes <, > and & in this form. */
function compactJson(text: string): string {
  return indentJson(text, "", "").replace(/\n/g, "").replace(/": /g, '":');
}
