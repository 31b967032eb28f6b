// Where a daemon listens, from a host text: unix:///path, tcp://host[:port], with or without TLS. Defaults as Docker's:
// 2375 without TLS, 2376 with it. Source: the docker CLI's -H option.

/** A place to connect to. */
export type Endpoint =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly prefix: string };

/** Where gantryd listens unless it is told otherwise. */
export const defaultHost = "unix:///run/gantry/gantry.sock";

/** @throws Error the text is no host that this client can reach */
export function parseHost(text: string, withTls: boolean): Endpoint {
  const at = text.indexOf("://");
  if (at < 0) throw new Error(`unable to parse docker host \`${text}\``);
  const protocol = text.slice(0, at);
  const address = text.slice(at + 3);
  if (protocol === "unix") {
    if (address === "") throw new Error(`unable to parse docker host \`${text}\``);
    return { kind: "unix", path: address };
  }
  if (protocol === "tcp" || protocol === "http" || protocol === "https") {
    const m = /^(?:\[([0-9a-fA-F:.]+)\]|([^:/[\]]*))(?::(\d+))?(\/.*)?$/.exec(address);
    if (m === null) throw new Error(`unable to parse docker host \`${text}\``);
    const port = m[3] === undefined ? (withTls ? 2376 : 2375) : Number(m[3]);
    if (port > 65535) throw new Error(`unable to parse docker host \`${text}\`: invalid port ${m[3]}`);
    return { kind: "tcp", host: m[1] ?? (m[2] || "127.0.0.1"), port, prefix: (m[4] ?? "").replace(/\/+$/, "") };
  }
  if (protocol === "ssh")
    throw new Error(`${text}: ssh:// is not supported yet; forward the socket with ssh -L and use unix:// instead`);
  throw new Error(`unable to parse docker host \`${text}\`: unsupported protocol ${JSON.stringify(protocol)}`);
}
