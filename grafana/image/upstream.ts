import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'

const request = z.object({ model: z.string() })

/** Stands for a provider that speaks Chat Completions: it answers at the pace of one, and can be told to refuse. */
export class StandInUpstream {
  /** Everything is answered with 503. */
  refuses = false
  readonly #server = createServer((incoming, response) => void this.#answer(incoming, response))

  /** Listens on a free port; resolves to the base URL. */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('The upstream has no port')
    return `http://127.0.0.1:${address.port}`
  }

  stop(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {})
    const { model } = request.parse(JSON.parse(await readAll(incoming)))
    if (this.refuses) {
      response.writeHead(503, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ error: { message: 'Overloaded.', type: 'server_error' } }))
      return
    }
    const send = (fields: object) => response.write(`data: ${JSON.stringify({ model, ...fields })}\n\n`)
    const isLarge = model === 'large'
    const tokens = isLarge ? 150 : 60 + Math.floor(Math.random() * 120)
    // Most first tokens are quick, some are not.
    await sleep(150 - 120 * Math.log(Math.random()))
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (let i = 0; i < tokens && !response.destroyed; i++) {
      const content = isLarge ? 'large '.repeat(20_000) : ` token ${i}`
      send({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })
      await sleep(isLarge ? 5 : 10 - 15 * Math.log(Math.random()))
    }
    send({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })
    send({ choices: [], usage: { prompt_tokens: 40, completion_tokens: tokens, total_tokens: 40 + tokens } })
    response.end('data: [DONE]\n\n')
  }
}

async function readAll(incoming: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of incoming.setEncoding('utf8')) text += String(chunk)
  return text
}
