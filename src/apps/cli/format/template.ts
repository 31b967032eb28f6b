// Evaluates parsed Go templates over JSON-like values. Objects serve as maps and as structs; a function-valued property is a
// method (`{{.Label "x"}}`). Source: Go's text/template documentation; printing follows Go's fmt %v.

import { TemplateError, parseTemplate, type Operand, type Pipe, type TemplateNode } from "./template-parse.ts";
import { callFunction, functionNames, isTrue, printValue } from "./template-functions.ts";

export { TemplateError } from "./template-parse.ts";

/** How a template is evaluated. */
export interface TemplateOptions {
  /**
   * What a field that the object lacks is worth: `path` is the dotted way from the root, "[]" for an element of a list. `noValue` prints "<no value>" and
   * is false; undefined means an error, `map has no entry for key`.
   */
  readonly missing?: (path: string) => unknown;
  /** Functions that replace built-in ones: table headers are made by the template itself. */
  readonly functions?: Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;
  /** How null prints when it is the value of this field; "<nil>" by default. */
  readonly renderNull?: (name: string) => string;
}

/** The worth of a key that a map lacks. */
export const noValue: unique symbol = Symbol("no value");

/** A template ready to be evaluated again and again. */
export interface Template {
  execute(root: unknown): string;
}

class LoopExit extends Error {
  readonly how: "break" | "continue";
  constructor(how: "break" | "continue") {
    super(how);
    this.how = how;
  }
}

interface Variable {
  readonly name: string;
  value: unknown;
}

class Execution {
  readonly #text: string;
  readonly #options: TemplateOptions;
  readonly #paths = new WeakMap<object, string>();
  readonly #variables: Variable[] = [];
  #output = "";

  constructor(text: string, options: TemplateOptions, root: unknown) {
    this.#text = text;
    this.#options = options;
    this.#variables.push({ name: "$", value: root });
    this.#remember(root, "");
  }

  /** Notes where a value is, and where its elements are: `range` and `index` lead to them without a name. */
  #remember(value: unknown, path: string): void {
    if (typeof value !== "object" || value === null) return;
    this.#paths.set(value, path);
    for (const [key, element] of Object.entries(value)) {
      if (typeof element !== "object" || element === null) continue;
      const step = Array.isArray(value) ? `${path}[]` : path === "" ? key : `${path}.${key}`;
      this.#paths.set(element, step);
    }
  }

  run(nodes: readonly TemplateNode[], root: unknown): string {
    this.#walk(nodes, root);
    return this.#output;
  }

  #walk(nodes: readonly TemplateNode[], dot: unknown): void {
    for (const node of nodes) {
      switch (node.kind) {
        case "text":
          this.#output += node.text;
          break;
        case "break":
        case "continue":
          throw new LoopExit(node.kind);
        case "action": {
          const value = this.#pipe(node.pipe, dot);
          if (node.pipe.variables.length === 0)
            this.#output += value === null ? this.#null(node.pipe) : printValue(value);
          break;
        }
        case "range":
          this.#scoped(() => this.#range(node, dot));
          break;
        case "if":
        case "with":
          this.#scoped(() => {
            const value = this.#pipe(node.pipe, dot);
            if (isTrue(value)) this.#walk(node.body, node.kind === "with" ? value : dot);
            else this.#walk(node.otherwise, dot);
          });
          break;
      }
    }
  }

  /** Go knows an absent list from an absent pointer by its type; here the field's name has to do. */
  #null(pipe: Pipe): string {
    const [operand, ...more] = pipe.commands.at(-1) ?? [];
    const name = operand !== undefined && more.length === 0 && "names" in operand ? operand.names.at(-1) : undefined;
    return (name === undefined ? undefined : this.#options.renderNull?.(name)) ?? printValue(null);
  }

  #scoped(act: () => void): void {
    const depth = this.#variables.length;
    try {
      act();
    } finally {
      this.#variables.length = depth;
    }
  }

  #range(node: Extract<TemplateNode, { readonly kind: "if" | "range" | "with" }>, dot: unknown): void {
    const [first, second] = node.pipe.variables;
    const value = this.#pipe({ ...node.pipe, variables: [] }, dot);
    const entries = entriesOf(value);
    if (entries.length === 0) return this.#walk(node.otherwise, dot);
    for (const [key, element] of entries) {
      try {
        this.#scoped(() => {
          if (first !== undefined && second === undefined) this.#bind(first, element, node.pipe.assign);
          if (first !== undefined && second !== undefined) {
            this.#bind(first, key, node.pipe.assign);
            this.#bind(second, element, node.pipe.assign);
          }
          this.#walk(node.body, element);
        });
      } catch (error) {
        if (!(error instanceof LoopExit)) throw error;
        if (error.how === "break") return;
      }
    }
  }

  #bind(name: string, value: unknown, assign: boolean): void {
    const known = assign ? this.#variables.findLast((variable) => variable.name === name) : undefined;
    if (known === undefined) this.#variables.push({ name, value });
    else known.value = value;
  }

  #pipe(pipe: Pipe, dot: unknown): unknown {
    let value: unknown;
    for (const [index, command] of pipe.commands.entries())
      value = this.#command(command, dot, index > 0 ? [value] : []);
    for (const name of pipe.variables) this.#bind(name, value, pipe.assign);
    return value;
  }

  #command(operands: readonly Operand[], dot: unknown, piped: readonly unknown[]): unknown {
    const [head, ...tail] = operands;
    if (head === undefined) throw new TemplateError("empty command");
    if (head.kind === "function") {
      const replaced = this.#options.functions?.[head.name];
      if (head.name === "and" || head.name === "or") return this.#shortCircuit(head.name, tail, dot, piped);
      const args = [...tail.map((operand) => this.#operand(operand, dot)), ...piped];
      try {
        return replaced === undefined ? callFunction(head.name, args) : replaced(...args);
      } catch (error) {
        if (!(error instanceof TemplateError)) throw error;
        throw this.#error(head.at, this.#source(operands), `error calling ${head.name}: ${error.message}`);
      }
    }
    const args = [...tail.map((operand) => this.#operand(operand, dot)), ...piped];
    const value = this.#operand(head, dot, args);
    return value;
  }

  #shortCircuit(name: "and" | "or", tail: readonly Operand[], dot: unknown, piped: readonly unknown[]): unknown {
    const steps = [...tail.map((operand) => () => this.#operand(operand, dot)), ...piped.map((value) => () => value)];
    if (steps.length === 0) throw new TemplateError(`wrong number of args for ${name}: want at least 1 got 0`);
    let value: unknown;
    for (const step of steps) {
      value = step();
      if (isTrue(value) === (name === "or")) return value;
    }
    return value;
  }

  #operand(operand: Operand, dot: unknown, args: readonly unknown[] = []): unknown {
    switch (operand.kind) {
      case "dot":
        return dot;
      case "nil":
        return null;
      case "literal":
        return operand.value;
      case "function":
        return callFunction(operand.name, []);
      case "field":
        return this.#fields(dot, operand.names, operand.at, args);
      case "variable": {
        const known = this.#variables.findLast((variable) => variable.name === operand.name);
        if (known === undefined) throw new TemplateError(`undefined variable ${JSON.stringify(operand.name)}`);
        return this.#fields(known.value, operand.names, operand.at, args);
      }
      case "pipe":
        return this.#fields(this.#pipe(operand.pipe, dot), operand.names, operand.at, args);
    }
  }

  #fields(start: unknown, names: readonly string[], at: number, args: readonly unknown[]): unknown {
    let value = start;
    const shown = `.${names.join(".")}`;
    for (const [index, name] of names.entries()) {
      if (value === null || value === undefined)
        throw this.#error(at, shown, `nil data; no entry for key ${JSON.stringify(name)}`);
      if (typeof value !== "object" || Array.isArray(value))
        throw this.#error(at, shown, `can't evaluate field ${name} in type ${typeNameOf(value)}`);
      const holder: object = value;
      const before = this.#paths.get(holder);
      const path = before === undefined ? undefined : before === "" ? name : `${before}.${name}`;
      let next: unknown = Object.hasOwn(holder, name) ? (holder as Record<string, unknown>)[name] : undefined;
      if (typeof next === "function")
        next = (next as (...args: readonly unknown[]) => unknown)(...(index === names.length - 1 ? args : []));
      else if (next === undefined) {
        next = path === undefined ? undefined : this.#options.missing?.(path);
        if (next === noValue) next = undefined;
        else if (next === undefined) throw this.#error(at, shown, `map has no entry for key ${JSON.stringify(name)}`);
      }
      if (path !== undefined) this.#remember(next, path);
      value = next;
    }
    return value;
  }

  /** A command as it was written, for messages. */
  #source(operands: readonly Operand[]): string {
    return operands.map((operand) => this.#sourceOf(operand)).join(" ");
  }

  #sourceOf(operand: Operand): string {
    switch (operand.kind) {
      case "dot":
        return ".";
      case "nil":
        return "nil";
      case "literal":
        return JSON.stringify(operand.value);
      case "function":
        return operand.name;
      case "field":
        return `.${operand.names.join(".")}`;
      case "variable":
        return [operand.name, ...operand.names].join(".");
      case "pipe": {
        const inner = operand.pipe.commands.map((command) => this.#source(command)).join(" | ");
        return [`(${inner})`, ...operand.names].join(".");
      }
    }
  }

  #error(at: number, shown: string, message: string): TemplateError {
    const before = this.#text.slice(0, at);
    const line = before.split("\n").length;
    const column = at - (before.lastIndexOf("\n") + 1);
    return new TemplateError(`template: :${line}:${column}: executing "" at <${shown}>: ${message}`);
  }
}

function typeNameOf(value: unknown): string {
  if (Array.isArray(value)) return "[]interface {}";
  return typeof value === "boolean" ? "bool" : typeof value === "string" ? "string" : "int";
}

function entriesOf(value: unknown): (readonly [unknown, unknown])[] {
  if (value === null || value === undefined) return [];
  if (typeof value === "number") return Array.from({ length: Math.max(0, value) }, (_, index) => [index, index]);
  if (Array.isArray(value)) return value.map((element, index) => [index, element] as const);
  if (typeof value === "object") return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  throw new TemplateError(`range can't iterate over ${printValue(value)}`);
}

function checkNames(nodes: readonly TemplateNode[], known: ReadonlySet<string>): void {
  const checkPipe = (pipe: Pipe): void => {
    for (const operand of pipe.commands.flat()) {
      if (operand.kind === "function" && !known.has(operand.name))
        throw new TemplateError(`function ${JSON.stringify(operand.name)} not defined`);
      if (operand.kind === "pipe") checkPipe(operand.pipe);
    }
  };
  for (const node of nodes) {
    if ("pipe" in node) checkPipe(node.pipe);
    if ("body" in node) {
      checkNames(node.body, known);
      checkNames(node.otherwise, known);
    }
  }
}

/**
 * Compiles a template.
 *
 * @throws TemplateError the text is no template, or calls a function that does not exist: `template: :1: …`
 */
export function compileTemplate(text: string, options: TemplateOptions = {}): Template {
  let nodes: readonly TemplateNode[];
  try {
    nodes = parseTemplate(text);
    checkNames(nodes, new Set([...functionNames, ...Object.keys(options.functions ?? {})]));
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new TemplateError(`template: :1: ${error.message}`);
  }
  return { execute: (root) => new Execution(text, options, root).run(nodes, root) };
}
