import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { loadConfig } from '../../src/config.ts'
import { createGateway } from '../../src/gateway.ts'
import { isRecord } from '../../src/json.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { sendCut } from '../support/upstream.ts'
import { cutsOf } from './cuts.ts'
import type { Recording } from './recording.ts'

/** A server that plays the recordings, and a gateway in front of it. */
export interface Rig {
  /** Origins without a path. */
  direct: string
  through: string
  add(recording: Recording): void
  close(): Promise<void>
}

/** The model's name chooses the recording, at the server and at the gateway. */
export function modelOf({ id, wire }: Recording): string {
  return `${wire}-${id}`
}

export async function startRig(recordings: readonly Recording[], seed = ''): Promise<Rig> {
  const server = createServer()
  const bodies = new Map(recordings.map((each) => [modelOf(each), each.body]))
  /** Each reading gets cuts of its own. */
  const readings = new Map<string, number>()
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const model = await readModel(request)
    const body = bodies.get(model)
    if (!body) {
      response.writeHead(404).end()
      return
    }
    const reading = (readings.get(model) ?? 0) + 1
    readings.set(model, reading)
    response.on('error', () => {})
    await sendCut(response, body, cutsOf(`${model} ${reading} ${seed}`, body.length))
  }
  server.on('request', (request, response) => void answer(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const direct = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const common = { headers: {}, apiKey: 'upstream-key' }
  const gateway = await createGateway(
    {
      ...loadConfig(),
      port: 0,
      drainMs: 0,
      providers: {
        openai: { type: 'openai', baseUrl: `${direct}/v1`, includeUsage: true, ...common },
        anthropic: { type: 'anthropic', baseUrl: direct, maxTokens: 4096, ...common },
      },
      models: {
        'openai-*': { target: 'openai/openai-*', retries: 0 },
        'anthropic-*': { target: 'anthropic/anthropic-*', retries: 0 },
      },
      // Some recordings are failures; they must not open the circuit for the others.
      breaker: { failures: 1_000_000, cooldownMs: 1 },
    },
    { logger: createLogger('silent') },
  )
  const through = await gateway.start()
  return {
    direct,
    through,
    add: (recording) => void bodies.set(modelOf(recording), recording.body),
    async close() {
      await gateway.drain()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function readModel(request: IncomingMessage): Promise<string> {
  const body: unknown = JSON.parse((await text(request)) || '{}')
  return isRecord(body) ? String(body.model) : ''
}
