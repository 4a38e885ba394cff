// Whether a port of this machine is free, asked before anything is started.

import { connect, createServer } from "node:net";

const LOOPBACK = ["127.0.0.1", "::1"];

/** Something answers there. On macOS a second server could still listen, so listening alone doesn't tell. */
const answers = (port, host) =>
  new Promise((done) => {
    const socket = connect({ port, host });
    const end = (answer) => {
      socket.destroy();
      done(answer);
    };
    socket.once("connect", () => end(true)).once("error", () => end(false));
  });

const refusesListener = (port, host) =>
  new Promise((done) => {
    const server = createServer();
    // No IPv6 on this machine is not a taken port.
    server.once("error", (error) => done(error.code === "EADDRINUSE" || error.code === "EACCES"));
    server.listen({ port, host }, () => server.close(() => done(false)));
  });

export async function isTaken(port) {
  for (const host of LOOPBACK) {
    if ((await answers(port, host)) || (await refusesListener(port, host))) return true;
  }
  return false;
}
