// A name server of the surroundings, as a process of its own: `node dns-upstream.ts ADDRESS…`, port 53. It answers every question for
// A with 192.0.2.77, others empty, and writes "ADDRESS TYPE NAME" for each to standard output. Addresses that end with "!" only listen.

import { createSocket } from "node:dgram";
import { decode, encode, RECURSION_AVAILABLE, RECURSION_DESIRED } from "dns-packet";

for (const argument of process.argv.slice(2)) {
  const address = argument.replace("!", "");
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("message", (query, from) => {
    const { id = 0, questions = [] } = decode(query);
    for (const { type, name } of questions) process.stdout.write(`${address} ${type} ${name}\n`);
    if (argument.endsWith("!")) return;
    const reply = encode({
      type: "response",
      id,
      flags: RECURSION_DESIRED | RECURSION_AVAILABLE,
      questions: questions.map(({ type, name }) => ({ type, name })),
      answers: questions
        .filter(({ type }) => type === "A")
        .map(({ name }) => ({ type: "A", name, ttl: 5, data: "192.0.2.77" })),
    });
    socket.send(reply, from.port, from.address);
  });
  socket.bind(53, address, () => process.stdout.write(`${address} ready\n`));
}
