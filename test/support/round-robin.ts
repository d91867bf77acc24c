import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** One address for several nodes: each connection goes to the next node that accepts it. */
export interface RoundRobin {
  url: string
  /** Breaks every connection. */
  cut(): void
}

export async function startRoundRobin(nodes: readonly string[]): Promise<RoundRobin> {
  const ports = nodes.map((url) => Number(new URL(url).port))
  const clients = new Set<Socket>()
  let turn = 0

  function pass(client: Socket, attempts: number): void {
    const node = connect(ports[turn++ % ports.length]!, '127.0.0.1')
    node.on('connect', () => {
      client.pipe(node).pipe(client)
      client.on('close', () => node.destroy())
    })
    node.on('error', () => {
      if (node.connecting && attempts > 1 && !client.destroyed) pass(client, attempts - 1)
      else client.destroy()
    })
  }

  const server = createServer({ pauseOnConnect: true }, (client) => {
    clients.add(client)
    client.on('error', () => {})
    client.on('close', () => void clients.delete(client))
    pass(client, ports.length)
  })
  const cut = () => {
    for (const client of clients) client.destroy()
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    cut()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, cut }
}
