// One line of CSV, as docker's flags have it: type=local,dest=out,"dest=a,b".

import { CliError } from "../command.ts";

/** @throws CliError a quote that is not closed, or stands inside of a field */
export function parseCsv(text: string): readonly string[] {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] === '"') {
      let field = "";
      at++;
      for (;;) {
        const end = text.indexOf('"', at);
        if (end < 0) throw new CliError(`invalid value ${text}: a quote is not closed`);
        field += text.slice(at, end);
        at = end + 1;
        if (text[at] !== '"') break;
        field += '"';
        at++;
      }
      if (at < text.length && text[at] !== ",") throw new CliError(`invalid value ${text}: text after a quote`);
      fields.push(field);
    } else {
      const end = text.indexOf(",", at);
      const field = text.slice(at, end < 0 ? text.length : end);
      if (field.includes('"')) throw new CliError(`invalid value ${text}: a quote inside of a field`);
      fields.push(field);
      at += field.length;
    }
    if (at >= text.length) return fields;
    at++;
  }
}

/** `key=value` pairs; keys in lower case. @throws CliError a field without "=" */
export function parsePairs(text: string, flag: string): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>();
  for (const field of parseCsv(text)) {
    const equals = field.indexOf("=");
    if (equals < 1) throw new CliError(`invalid field '${field}' in --${flag}: must be a key=value pair`);
    pairs.set(field.slice(0, equals).trim().toLowerCase(), field.slice(equals + 1));
  }
  return pairs;
}
