import { createServer, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** What happened, in order, for a test to wait on. */
export class Journal<T> {
  readonly entries: T[] = []
  readonly #waiting = new Set<() => void>()

  add(entry: T): void {
    this.entries.push(entry)
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  /** Waits for entry after entry until `condition` holds. */
  async until(condition: (entries: readonly T[]) => boolean): Promise<readonly T[]> {
    while (!condition(this.entries)) await new Promise<void>((resolve) => this.#waiting.add(resolve))
    return this.entries
  }
}

/** A request that the server behind the proxy has answered. */
export interface ProxiedRequest {
  method: string
  path: string
  lastEventId: string | undefined
  status: number
}

export interface CuttingProxy {
  url: string
  requests: Journal<ProxiedRequest>
  /** Closes every connection of every client, as a network that is gone does. */
  cut(): void
  /** Lets this many more bytes of bodies through, and cuts then: in the middle of a frame, say. */
  cutAfter(bytes: number): void
}

/** A proxy whose connections break when the test says so. Serves `page` at `/`, so that it has the API's origin. */
export async function startCuttingProxy(target: string, { page = '' } = {}): Promise<CuttingProxy> {
  const requests = new Journal<ProxiedRequest>()
  let allowance = Infinity

  function pass(chunk: Buffer, response: ServerResponse): void {
    if (chunk.length < allowance) {
      allowance -= chunk.length
      response.write(chunk)
      return
    }
    // What comes before the connections are cut is dropped: it would follow a frame that lacks its end.
    if (allowance > 0)
      response.write(chunk.subarray(0, allowance), () => {
        allowance = Infinity
        cut()
      })
    allowance = 0
  }

  const server = createServer((incoming, response) => {
    const { method = 'GET', url: path = '/', headers } = incoming
    if (path === '/') {
      response.setHeader('content-type', 'text/html').end(page)
      return
    }
    const forwarded = request(new URL(path, target), { method, headers, agent: false })
    forwarded.on('response', (answer) => {
      const { statusCode: status = 0, headers: answered } = answer
      requests.add({ method, path, lastEventId: headers['last-event-id']?.toString(), status })
      const { connection: _, ...passed } = answered
      response.writeHead(status, passed)
      response.flushHeaders()
      answer.on('data', (chunk: Buffer) => pass(chunk, response))
      answer.on('end', () => response.end())
      answer.on('error', () => response.destroy())
    })
    forwarded.on('error', () => response.destroy())
    response.on('close', () => forwarded.destroy())
    incoming.pipe(forwarded)
  })

  function cut(): void {
    server.closeAllConnections()
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    cut()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    cut,
    cutAfter(bytes) {
      allowance = bytes
    },
  }
}
