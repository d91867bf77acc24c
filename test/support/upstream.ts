import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

export interface UpstreamRequest {
  path: string
  headers: IncomingMessage['headers']
  /** Of a body that is no JSON: nothing. */
  body: Record<string, unknown>
  bytes: Buffer
  /** Resolves when the gateway has closed the connection. */
  closed: Promise<void>
}

export interface Upstream {
  url: string
  requests: UpstreamRequest[]
  /** Resolves with the request of this position, when it has come. */
  request(position: number): Promise<UpstreamRequest>
}

export type Answer = (response: ServerResponse, request: UpstreamRequest) => void | Promise<void>

/** A local server that stands for a provider: it really speaks HTTP, or HTTPS, and answers what the test says. */
export async function startUpstream(answer: Answer, tls?: ServerOptions): Promise<Upstream> {
  const requests: UpstreamRequest[] = []
  const waiting = new Set<() => void>()
  const listener: RequestListener = (incoming, response) => {
    const chunks: Buffer[] = []
    incoming.on('data', (piece: Buffer) => chunks.push(piece))
    incoming.on('end', () => {
      const bytes = Buffer.concat(chunks)
      const isForm = incoming.headers['content-type']?.startsWith('multipart/')
      const text = isForm ? '' : bytes.toString()
      const request: UpstreamRequest = {
        path: incoming.url ?? '',
        headers: incoming.headers,
        body: text === '' ? {} : JSON.parse(text),
        bytes,
        closed: new Promise((resolve) => response.on('close', () => resolve())),
      }
      requests.push(request)
      for (const wake of waiting) wake()
      waiting.clear()
      response.on('error', () => {})
      void answer(response, request)
    })
  }
  const server = tls ? createTlsServer(tls, listener) : createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return {
    url: tls ? `https://localhost:${port}` : `http://127.0.0.1:${port}`,
    requests,
    async request(position) {
      while (requests.length <= position) await new Promise<void>((resolve) => waiting.add(resolve))
      return requests[position]!
    },
  }
}

/** Answers 200 with an event stream of these bytes, cut where `cuts` says: each piece is a write of its own. */
export async function sendCut(response: ServerResponse, body: Uint8Array, cuts: readonly number[]): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const places = [...new Set([...cuts.map((cut) => cut % (body.length + 1)), body.length])].toSorted((a, b) => a - b)
  let start = 0
  for (const end of places) {
    if (end > start) {
      response.write(body.subarray(start, end))
      // Pieces that are written together may arrive together; a turn apart they mostly do not.
      await new Promise((resolve) => setImmediate(resolve))
    }
    start = end
  }
  response.end()
}

/** The `data:` lines of a Chat Completions stream. */
export function chatChunks(...chunks: (Record<string, unknown> | string)[]): string {
  return chunks.map((each) => `data: ${typeof each === 'string' ? each : JSON.stringify(each)}\n\n`).join('')
}

/** A chunk as OpenAI sends it, with this in its first choice. */
export function chunk(delta: Record<string, unknown>, choice: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1_700_000_000,
    model: 'gpt-test',
    choices: [{ index: 0, delta, finish_reason: null, ...choice }],
  }
}
