import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import { type AddressInfo, connect, createServer as createTcp, type Server } from "node:net";
import { test } from "node:test";
import { bypassesProxy, maskCredentials, openTunnel, proxyFor, proxyHeaders } from "./proxy.ts";

function bypassed(noProxy: string, urls: readonly string[]): readonly string[] {
  return urls.filter((url) => bypassesProxy(new URL(url), noProxy));
}

test("NO_PROXY is read as Go reads it", () => {
  const hosts = ["http://foo.com/", "http://a.foo.com/", "http://barfoo.com/", "https://foo.com:8443/"];
  assert.deepEqual(bypassed("foo.com", hosts), ["http://foo.com/", "http://a.foo.com/", "https://foo.com:8443/"]);
  assert.deepEqual(bypassed(" .FOO.com ", hosts), ["http://a.foo.com/"]);
  assert.deepEqual(bypassed("*.foo.com", hosts), ["http://a.foo.com/"]);
  assert.deepEqual(bypassed("foo.com:80", hosts), ["http://foo.com/", "http://a.foo.com/"]);
  assert.deepEqual(bypassed("x,foo.com:8443", hosts), ["https://foo.com:8443/"]);
  assert.deepEqual(bypassed("*", hosts), hosts);
  assert.deepEqual(bypassed("", hosts), []);
  const addresses = ["http://10.1.2.3/", "http://10.2.0.1:5000/", "http://[2001:db8::1]/", "http://192.0.2.1/"];
  assert.deepEqual(bypassed("10.1.0.0/16,2001:db8::/32", addresses), ["http://10.1.2.3/", "http://[2001:db8::1]/"]);
  assert.deepEqual(bypassed("10.2.0.1:5000,[2001:db8::1]:81", addresses), ["http://10.2.0.1:5000/"]);
});

test("loopback is never proxied", () => {
  const proxies = { httpProxy: "http://p", httpsProxy: "http://p", noProxy: "" };
  const urls = ["http://localhost:5000/", "http://127.9.9.9/", "http://[::1]/", "https://localhost/"];
  assert.deepEqual(
    urls.map((url) => proxyFor(new URL(url), proxies)),
    urls.map(() => undefined),
  );
});

test("the scheme decides which proxy; one without a scheme is http", () => {
  const proxies = { httpProxy: "p:1", httpsProxy: "https://s:2", noProxy: "" };
  assert.equal(proxyFor(new URL("http://a/"), proxies)?.href, "http://p:1/");
  assert.equal(proxyFor(new URL("https://a/"), proxies)?.href, "https://s:2/");
  assert.throws(() => proxyFor(new URL("http://a/"), { ...proxies, httpProxy: "socks5://u:secret@x" }), {
    message: "invalid proxy URL: socks5://xxxxx:xxxxx@x",
  });
});

test("a proxy's credentials are sent to it and masked elsewhere", () => {
  assert.deepEqual(proxyHeaders(new URL("http://u:p%40q@p/")), {
    "proxy-authorization": `Basic ${Buffer.from("u:p@q").toString("base64")}`,
  });
  assert.deepEqual(["http://u:p@h:1/", "u:p@h", "http://h", "http://u:a@b@h"].map(maskCredentials), [
    "http://xxxxx:xxxxx@h:1/",
    "xxxxx:xxxxx@h",
    "http://h",
    "http://xxxxx:xxxxx@h",
  ]);
});

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

test("a tunnel is what the proxy connects; its refusal is told", async () => {
  const target = createServer((_request, response) => void response.end("through"));
  const proxy = createServer();
  proxy.on("connect", (request, socket, head) => {
    if (request.headers["proxy-authorization"] === undefined) {
      socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
      return;
    }
    const [, port] = (request.url ?? "").split(":");
    const upstream = connect(Number(port), "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on("error", () => socket.destroy());
  });
  const [targetPort, proxyPort] = [await listening(target), await listening(proxy)];
  try {
    const socket = await openTunnel(new URL(`http://u:p@127.0.0.1:${proxyPort}`), "127.0.0.1", targetPort, 5000);
    const text = await new Promise((resolve, reject) => {
      request({ createConnection: () => socket, host: "x" }, (response) => {
        response.setEncoding("utf8").on("data", resolve);
      })
        .on("error", reject)
        .end();
    });
    assert.equal(text, "through");
    socket.destroy();
    await assert.rejects(openTunnel(new URL(`http://127.0.0.1:${proxyPort}`), "127.0.0.1", targetPort, 5000), {
      message: `proxy 127.0.0.1:${proxyPort}: 407 Proxy Authentication Required`,
      transient: false,
    });
  } finally {
    proxy.closeAllConnections();
    target.closeAllConnections();
    proxy.close();
    target.close();
  }
});

test("a proxy that does not answer is given up", async () => {
  const silent = createTcp();
  const port = await listening(silent);
  silent.on("connection", (socket) => void socket.on("error", () => {}));
  await assert.rejects(openTunnel(new URL(`http://127.0.0.1:${port}`), "x", 1, 50), {
    message: `proxyconnect tcp: 127.0.0.1:${port}: i/o timeout`,
    transient: true,
  });
  silent.close();
});
