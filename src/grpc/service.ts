// Services as both ends know them: methods with their kind and their messages.

import type { AnyMessage, MessageInit, MessageOf } from "./message.ts";

/** unary: one message each way; serverStream: one request, many answers; bidi: many both ways. */
export type MethodKind = "unary" | "serverStream" | "bidi";

export interface Method<K extends MethodKind, Req extends AnyMessage, Res extends AnyMessage> {
  readonly kind: K;
  readonly request: Req;
  readonly response: Res;
}
export type AnyMethod = Method<MethodKind, AnyMessage, AnyMessage>;

/** A method that has its place: "/moby.buildkit.v1.Control/Solve". */
export type Located<M extends AnyMethod> = M & { readonly path: string };

export interface Service<M extends Readonly<Record<string, AnyMethod>>> {
  readonly name: string;
  readonly methods: { readonly [K in keyof M]: Located<M[K]> };
}

export function unary<Req extends AnyMessage, Res extends AnyMessage>(
  request: Req,
  response: Res,
): Method<"unary", Req, Res> {
  return { kind: "unary", request, response };
}
export function serverStream<Req extends AnyMessage, Res extends AnyMessage>(
  request: Req,
  response: Res,
): Method<"serverStream", Req, Res> {
  return { kind: "serverStream", request, response };
}
export function bidi<Req extends AnyMessage, Res extends AnyMessage>(
  request: Req,
  response: Res,
): Method<"bidi", Req, Res> {
  return { kind: "bidi", request, response };
}

export function service<M extends Readonly<Record<string, AnyMethod>>>(name: string, methods: M): Service<M> {
  const located = Object.entries(methods).map(([key, method]) => [key, { ...method, path: `/${name}/${key}` }]);
  return { name, methods: Object.fromEntries(located) as Service<M>["methods"] };
}

export type RequestOf<M extends AnyMethod> = MessageOf<M["request"]>;
export type RequestInit<M extends AnyMethod> = MessageInit<M["request"]>;
export type ResponseOf<M extends AnyMethod> = MessageOf<M["response"]>;
export type ResponseInit<M extends AnyMethod> = MessageInit<M["response"]>;
