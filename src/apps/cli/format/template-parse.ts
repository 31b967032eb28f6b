// The syntax of Go's text/template, as far as --format needs it: actions, pipelines, variables, if/else/range/with/break/
// continue, trimming. Parsing gives a tree; evaluation is template.ts. Source: Go's text/template documentation.

export type TemplateNode =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "action"; readonly pipe: Pipe }
  | { readonly kind: "break" }
  | { readonly kind: "continue" }
  | {
      readonly kind: "if" | "range" | "with";
      readonly pipe: Pipe;
      readonly body: readonly TemplateNode[];
      readonly otherwise: readonly TemplateNode[];
    };

/** `$a, $b := command | command`; `assign` is true for `=`. */
export interface Pipe {
  readonly variables: readonly string[];
  readonly assign: boolean;
  readonly commands: readonly (readonly Operand[])[];
}

export type Operand =
  | { readonly kind: "dot" }
  | { readonly kind: "nil" }
  | { readonly kind: "field"; readonly names: readonly string[]; readonly at: number }
  | { readonly kind: "variable"; readonly name: string; readonly names: readonly string[]; readonly at: number }
  | { readonly kind: "function"; readonly name: string; readonly at: number }
  | { readonly kind: "literal"; readonly value: string | number | boolean }
  | { readonly kind: "pipe"; readonly pipe: Pipe; readonly names: readonly string[]; readonly at: number };

/** A template that is none, or that cannot be evaluated; the message says where. */
export class TemplateError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "TemplateError";
  }
}

interface Token {
  readonly kind: "field" | "variable" | "name" | "string" | "char" | "number" | "op" | "space";
  readonly text: string;
  /** Offset in the template's text. */
  readonly at: number;
}

const tokenPattern =
  /(?<space>[ \t\r\n]+)|(?<field>\.[\p{L}_][\p{L}\p{N}_]*)|(?<variable>\$[\p{L}\p{N}_]*)|(?<number>[+-]?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+))|(?<name>[\p{L}_][\p{L}\p{N}_]*)|(?<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?<char>'(?:[^'\\]|\\.)+')|(?<op>:=|[|().,=])/uy;

function tokenize(source: string, start: number): Token[] {
  const tokens: Token[] = [];
  let index = 0;
  while (index < source.length) {
    tokenPattern.lastIndex = index;
    const m = tokenPattern.exec(source);
    const found = Object.entries(m?.groups ?? {}).find(([, text]) => text !== undefined);
    if (m === null || found === undefined) {
      const bad = source.charAt(index);
      if (bad === '"') throw new TemplateError("unterminated quoted string");
      if (bad === "`") throw new TemplateError("unterminated raw quoted string");
      throw new TemplateError(`unexpected ${JSON.stringify(bad)} in command`);
    }
    tokens.push({ kind: found[0] as Token["kind"], text: m[0], at: start + index });
    index += m[0].length;
  }
  return tokens;
}

const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", a: "\x07", b: "\b", f: "\f", v: "\v" };

/** The text of a Go string literal, interpreted or raw. */
function unquote(literal: string): string {
  if (literal.startsWith("`")) return literal.slice(1, -1);
  return literal
    .slice(1, -1)
    .replace(
      /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))/gsu,
      (_, x, u, long, octal, c) => {
        const code = x ?? u ?? long;
        if (code !== undefined) return String.fromCodePoint(Number.parseInt(code as string, 16));
        if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal as string, 8));
        return escapes[c as string] ?? (c as string);
      },
    );
}

/** Reads the tokens of one action. */
class ActionParser {
  readonly #tokens: readonly Token[];
  #index = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  peek(): Token | undefined {
    return this.#tokens[this.#index];
  }

  next(): Token | undefined {
    const token = this.#tokens[this.#index];
    this.#index += 1;
    return token;
  }

  skipSpace(): void {
    while (this.peek()?.kind === "space") this.#index += 1;
  }

  isDone(): boolean {
    this.skipSpace();
    return this.peek() === undefined;
  }

  takeName(text: string): boolean {
    this.skipSpace();
    const token = this.peek();
    if (token?.kind !== "name" || token.text !== text) return false;
    this.#index += 1;
    return true;
  }

  #takeOp(text: string): boolean {
    this.skipSpace();
    const token = this.peek();
    if (token?.kind !== "op" || token.text !== text) return false;
    this.#index += 1;
    return true;
  }

  pipe(context: string, inParentheses = false): Pipe {
    const start = this.#index;
    const variables: string[] = [];
    let assign = false;
    for (;;) {
      this.skipSpace();
      const token = this.peek();
      if (token?.kind !== "variable") break;
      this.#index += 1;
      variables.push(token.text);
      if (this.#takeOp(",")) continue;
      if (this.#takeOp(":=")) break;
      if (this.#takeOp("=")) {
        assign = true;
        break;
      }
      variables.length = 0;
      this.#index = start;
      break;
    }
    const commands: Operand[][] = [];
    do commands.push(this.#command(context));
    while (this.#takeOp("|"));
    if (inParentheses) {
      if (!this.#takeOp(")")) throw new TemplateError("unclosed left paren");
    } else if (!this.isDone()) throw new TemplateError(`unexpected ${quoteToken(this.peek())} in ${context}`);
    return { variables, assign, commands };
  }

  #command(context: string): Operand[] {
    const operands: Operand[] = [];
    for (;;) {
      this.skipSpace();
      const token = this.peek();
      if (token === undefined || (token.kind === "op" && (token.text === "|" || token.text === ")"))) break;
      operands.push(this.#operand(context));
    }
    if (operands.length === 0) throw new TemplateError(`missing value for ${context}`);
    return operands;
  }

  #fields(): string[] {
    const names: string[] = [];
    while (this.peek()?.kind === "field") names.push((this.next()?.text ?? "").slice(1));
    return names;
  }

  /** Go reports the second name's place for a chain of several. */
  #field(first: string, at: number): Operand {
    const chainAt = this.peek()?.kind === "field" ? (this.peek()?.at ?? at) : at;
    return { kind: "field", names: [first, ...this.#fields()], at: chainAt };
  }

  #operand(context: string): Operand {
    const token = this.next();
    if (token === undefined) throw new TemplateError(`missing value for ${context}`);
    const { at, text } = token;
    switch (token.kind) {
      case "field":
        return this.#field(text.slice(1), at);
      case "variable":
        return { kind: "variable", name: text, names: this.#fields(), at };
      case "number":
        return { kind: "literal", value: Number(text) };
      case "string":
        return { kind: "literal", value: unquote(text) };
      case "char":
        return { kind: "literal", value: unquote(text).codePointAt(0) ?? 0 };
      case "name":
        if (text === "true" || text === "false") return { kind: "literal", value: text === "true" };
        return text === "nil" ? { kind: "nil" } : { kind: "function", name: text, at };
      case "op":
        if (text === ".") return { kind: "dot" };
        if (text === "(")
          return { kind: "pipe", pipe: this.pipe("parenthesized pipeline", true), names: this.#fields(), at };
        throw new TemplateError(`unexpected ${quoteToken(token)} in ${context}`);
      case "space":
        throw new TemplateError(`unexpected space in ${context}`);
    }
  }
}

function quoteToken(token: Token | undefined): string {
  if (token === undefined) return "EOF";
  return token.kind === "op" ? JSON.stringify(token.text) : `<${token.text}>`;
}

type Piece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "code"; readonly source: string; readonly at: number };

/** Cuts the text into what is literal and what stands between {{ and }}, trimmed as `{{-` and `-}}` say. */
function cut(text: string): Piece[] {
  const pieces: Piece[] = [];
  let index = 0;
  let trimNext = false;
  while (index <= text.length) {
    const open = text.indexOf("{{", index);
    let literal = text.slice(index, open < 0 ? undefined : open);
    if (trimNext) literal = literal.replace(/^[ \t\r\n]+/, "");
    const trimBefore = open >= 0 && /^-[ \t\r\n]/.test(text.slice(open + 2, open + 4));
    if (trimBefore) literal = literal.replace(/[ \t\r\n]+$/, "");
    if (literal !== "") pieces.push({ kind: "text", text: literal });
    if (open < 0) break;
    const inside = /^(?:"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\]|\\.)+'|\/\*[\s\S]*?\*\/|(?!\}\})[\s\S])*?(?=\}\})/.exec(
      text.slice(open + 2),
    );
    if (inside === null) throw new TemplateError("unclosed action");
    let source = inside[0];
    index = open + 2 + source.length + 2;
    let at = open + 2;
    trimNext = /[ \t\r\n]-$/.test(source);
    if (trimNext) source = source.slice(0, -1);
    if (trimBefore) {
      source = source.slice(1);
      at += 1;
    }
    if (!source.trim().startsWith("/*")) pieces.push({ kind: "code", source, at });
  }
  return pieces;
}

type Ending = "end" | "else" | undefined;

/**
 * Parses a template.
 *
 * @throws TemplateError with Go's words where they are known
 */
export function parseTemplate(text: string): readonly TemplateNode[] {
  const pieces = cut(text);
  let index = 0;

  function block(depth: number): { nodes: TemplateNode[]; ending: Ending; rest: ActionParser | undefined } {
    const nodes: TemplateNode[] = [];
    while (index < pieces.length) {
      const piece = pieces[index];
      index += 1;
      if (piece === undefined) break;
      if (piece.kind === "text") {
        nodes.push(piece);
        continue;
      }
      const parser = new ActionParser(tokenize(piece.source, piece.at));
      if (parser.isDone()) throw new TemplateError("missing value for command");
      if (parser.takeName("end")) {
        if (depth === 0) throw new TemplateError("unexpected {{end}}");
        return { nodes, ending: "end", rest: undefined };
      }
      if (parser.takeName("else")) {
        if (depth === 0) throw new TemplateError("unexpected {{else}}");
        return { nodes, ending: "else", rest: parser };
      }
      if (parser.takeName("break")) nodes.push({ kind: "break" });
      else if (parser.takeName("continue")) nodes.push({ kind: "continue" });
      else {
        const control = (["if", "range", "with"] as const).find((word) => parser.takeName(word));
        for (const word of ["template", "define", "block"])
          if (parser.takeName(word)) throw new TemplateError(`{{${word}}} is not supported in --format`);
        if (control === undefined) nodes.push({ kind: "action", pipe: parser.pipe("command") });
        else nodes.push(controlNode(control, parser, depth));
      }
    }
    return { nodes, ending: undefined, rest: undefined };
  }

  function controlNode(kind: "if" | "range" | "with", parser: ActionParser, depth: number): TemplateNode {
    const pipe = parser.pipe(kind);
    const { nodes: body, ending, rest } = block(depth + 1);
    if (ending === "end") return { kind, pipe, body, otherwise: [] };
    if (ending === undefined || rest === undefined) throw new TemplateError("unexpected EOF");
    for (const word of ["if", "with"] as const)
      if (rest.takeName(word)) return { kind, pipe, body, otherwise: [controlNode(word, rest, depth)] };
    const tail = block(depth + 1);
    if (tail.ending !== "end")
      throw new TemplateError(tail.ending === "else" ? "unexpected {{else}}" : "unexpected EOF");
    return { kind, pipe, body, otherwise: tail.nodes };
  }

  return block(0).nodes;
}
