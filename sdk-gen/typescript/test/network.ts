// A network between client and server that cuts, stalls, damages and loses.

import {
  type AddressInfo,
  type Server as Listener,
  type Socket,
  connect,
  createServer,
} from "node:net";

/** What happens to one connection once so many bytes have come from the client. */
export interface Fault {
  readonly after: number;
  /**
   * `cut`: the connection is reset. `stall`: it stays open and nothing passes any more.
   * `damage`: one bit of the next byte flips. `lose`: what the client sends still arrives, and
   * what the server answers does not; half a second later it is reset.
   */
  readonly fault: "cut" | "stall" | "damage" | "lose";
}

/** A proxy for TCP that does one fault after the other, each on one connection. */
export class Network {
  /** Where clients connect instead of at the server. */
  url = "";
  /** Bytes that came from clients. */
  received = 0;
  /** Connections that were made. */
  connections = 0;
  /** Faults that are still to happen. */
  readonly faults: Fault[] = [];
  /** Most bytes a second from each connection, if there is a limit. */
  rate: number | undefined;
  readonly #target: { host: string; port: number };
  readonly #listener: Listener;
  readonly #sockets = new Set<Socket>();
  /** Connections count from here. */
  #era = 0;

  private constructor(server: string) {
    const { hostname, port } = new URL(server);
    this.#target = { host: hostname, port: Number(port) };
    this.#listener = createServer((client) => this.#accept(client));
  }

  /** A network in front of a server. */
  static async before(server: string, faults: Fault[] = []): Promise<Network> {
    const network = new Network(server);
    network.faults.push(...faults);
    await new Promise<void>((resolve) => network.#listener.listen(0, "127.0.0.1", resolve));
    network.url = `http://127.0.0.1:${(network.#listener.address() as AddressInfo).port}`;
    return network;
  }

  /** Adds a fault for which connections that are open by now count anew. */
  inject(fault: Fault): void {
    this.#era += 1;
    this.faults.push(fault);
  }

  /** Cuts what is connected now. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  close(): void {
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(client: Socket): void {
    this.connections += 1;
    const server = connect(this.#target);
    let passed = 0;
    let era = this.#era;
    let stalled = false;
    let lost = false;
    const cut = () => {
      client.resetAndDestroy();
      server.resetAndDestroy();
    };
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on("error", cut);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        cut();
      });
    }
    client.on("data", (chunk: Buffer) => {
      if (stalled) return;
      this.received += chunk.length;
      if (era !== this.#era) passed = 0;
      era = this.#era;
      passed += chunk.length;
      const fault = this.faults[0];
      if (fault && !lost && passed > fault.after) {
        this.faults.shift();
        switch (fault.fault) {
          case "cut":
            return cut();
          case "stall":
            stalled = true;
            return;
          case "damage": {
            const at = chunk.length - (passed - fault.after);
            chunk[Math.max(0, at)]! ^= 1;
            break;
          }
          case "lose":
            lost = true;
            setTimeout(cut, 500);
        }
      }
      const held = !server.write(chunk);
      const pause = this.rate === undefined ? 0 : (1000 * chunk.length) / this.rate;
      if (!held && pause === 0) return;
      client.pause();
      const go = () => setTimeout(() => client.resume(), pause);
      if (held) server.once("drain", go);
      else go();
    });
    server.on("data", (chunk: Buffer) => {
      if (stalled || lost) return;
      if (client.write(chunk)) return;
      server.pause();
      client.once("drain", () => server.resume());
    });
  }
}
