// Which proxy a URL goes through, as Go's httpproxy decides it, and the connection through one: CONNECT for https, and
// absolute URLs for http. Source: golang.org/x/net/http/httpproxy, documentation of Config; RFC 9110 section 9.3.6.

import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { BlockList, isIP } from "node:net";
import type { Duplex } from "node:stream";
import { EngineError } from "../base/errors.ts";
import { bareHost } from "./address.ts";
import { RegistryError } from "./errors.ts";

/** URLs of proxies, "" for none. */
export interface ProxySettings {
  readonly httpProxy: string;
  readonly httpsProxy: string;
  readonly noProxy: string;
}

function portOf(url: URL): string {
  if (url.port !== "") return url.port;
  return url.protocol === "https:" ? "443" : "80";
}

function isLoopback(host: string): boolean {
  if (host === "localhost") return true;
  const loopback = new BlockList();
  loopback.addSubnet("127.0.0.0", 8, "ipv4");
  loopback.addAddress("::1", "ipv6");
  const family = isIP(host);
  return family !== 0 && loopback.check(host, family === 4 ? "ipv4" : "ipv6");
}

function inNetwork(host: string, network: string, prefix: number): boolean {
  const family = isIP(network);
  if (family === 0 || isIP(host) !== family || prefix > (family === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  const type = family === 4 ? "ipv4" : "ipv6";
  list.addSubnet(network, prefix, type);
  return list.check(host, type);
}

function splitPort(entry: string): { readonly host: string; readonly port: string } {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(entry);
  if (match !== null) return { host: match[1] ?? match[2] ?? "", port: match[3] ?? "" };
  return { host: entry.replace(/^\[(.*)\]$/, "$1"), port: "" };
}

function excludes(entry: string, host: string, port: string): boolean {
  if (entry === "*") return true;
  const cidr = /^([0-9a-f.:]+)\/(\d{1,3})$/.exec(entry);
  if (cidr !== null) return inNetwork(host, cidr[1] ?? "", Number(cidr[2]));
  const excluded = splitPort(entry);
  if (excluded.host === "" || (excluded.port !== "" && excluded.port !== port)) return false;
  const family = isIP(excluded.host);
  if (family !== 0) return inNetwork(host, excluded.host, family === 4 ? 32 : 128);
  const name = excluded.host.replace(/^\*\./, ".");
  return name.startsWith(".") ? host.endsWith(name) : host === name || host.endsWith(`.${name}`);
}

/** True when NO_PROXY takes the URL out, or it is on loopback, which no proxy is ever asked for. */
export function bypassesProxy(url: URL, noProxy: string): boolean {
  const host = bareHost(url).toLowerCase();
  if (isLoopback(host)) return true;
  return noProxy
    .split(",")
    .map((entry) => entry.trim().toLowerCase())
    .some((entry) => entry !== "" && excludes(entry, host, portOf(url)));
}

/**
 * The proxy for a URL, undefined for none.
 *
 * @throws InvalidParameter the configured one is not an http or https URL
 */
export function proxyFor(url: URL, settings: ProxySettings): URL | undefined {
  const configured = url.protocol === "https:" ? settings.httpsProxy : settings.httpProxy;
  if (configured === "" || bypassesProxy(url, settings.noProxy)) return undefined;
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(configured) ? configured : `http://${configured}`;
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new EngineError("InvalidParameter", `invalid proxy URL: ${maskCredentials(configured)}`);
  return new URL(text);
}

/** Proxy-Authorization of the user and password in a proxy's URL; nothing without. */
export function proxyHeaders(proxy: URL): Readonly<Record<string, string>> {
  if (proxy.username === "" && proxy.password === "") return {};
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(pair).toString("base64")}` };
}

/** A proxy's URL as it may be shown: dockerd's mask in place of the user and password. */
export function maskCredentials(proxy: string): string {
  return proxy.replace(/^([a-z][a-z0-9+.-]*:\/\/)?[^/?#]*@/i, "$1xxxxx:xxxxx@");
}

/**
 * Opens a tunnel to host:port through a proxy.
 *
 * @param timeoutMs until the proxy has answered
 * @throws Unavailable the proxy is not there, does not answer, or refuses
 */
export function openTunnel(proxy: URL, host: string, port: number, timeoutMs: number): Promise<Duplex> {
  const target = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    const request = (proxy.protocol === "https:" ? httpsRequest : httpRequest)({
      host: bareHost(proxy),
      port: proxy.port === "" ? (proxy.protocol === "https:" ? 443 : 80) : Number(proxy.port),
      method: "CONNECT",
      path: target,
      headers: { host: target, ...proxyHeaders(proxy) },
      agent: false,
    });
    const timer = setTimeout(() => {
      request.destroy(
        new RegistryError("Unavailable", `proxyconnect tcp: ${proxy.host}: i/o timeout`, { transient: true }),
      );
    }, timeoutMs);
    const refuse = (status: number, text: string): void => {
      clearTimeout(timer);
      request.destroy();
      const transient = status >= 500;
      reject(new RegistryError("Unavailable", `proxy ${proxy.host}: ${status} ${text}`.trimEnd(), { transient }));
    };
    request.once("connect", (response, socket, head) => {
      clearTimeout(timer);
      if (response.statusCode !== 200) {
        socket.destroy();
        refuse(response.statusCode ?? 0, response.statusMessage ?? "");
        return;
      }
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    request.once("response", (response) => {
      response.resume();
      refuse(response.statusCode ?? 0, response.statusMessage ?? "");
    });
    request.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    request.end();
  });
}
