import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { freePort, GATEWAY_CORE, PinnedProcess, temporaryFolder, untilListening } from '../processes.ts'
import { chatBody, requestText, type RequestParts } from '../request.ts'
import type { Relay, Running } from './relay.ts'

/** As `npm run build` leaves it. */
export const DIST = fileURLToPath(new URL('../../dist', import.meta.url))

export type SluiceProtocol = 'native' | 'openai-chat'

export interface StartSluice {
  dist?: string
  /** On top of a provider `openai` that is the upstream. */
  env?: Record<string, string>
  core?: number | string
}

/** What `npm start` gives to Node. */
const { scripts } = z
  .object({ scripts: z.object({ start: z.string() }) })
  .parse(createRequire(import.meta.url)('sluice/package.json'))
const NODE_OPTIONS = scripts.start.split(' ').filter((word) => word.startsWith('--'))

/** A gateway with its default settings, but for the log. */
export async function startSluice(
  upstreamPort: number,
  { dist = DIST, env = {}, core = GATEWAY_CORE }: StartSluice = {},
) {
  const port = await freePort()
  const child = new PinnedProcess(process.execPath, [...NODE_OPTIONS, join(dist, 'src/main.js')], {
    core,
    // An empty folder: no `sluice.yaml` of somebody's is found.
    cwd: temporaryFolder(),
    env: {
      PORT: String(port),
      LOG_LEVEL: 'warn',
      DRAIN_MS: '0',
      MOCK: 'true',
      OPENAI_BASE_URL: `http://127.0.0.1:${upstreamPort}/v1`,
      OPENAI_API_KEY: 'x',
      ...env,
    },
  })
  await untilListening(child, port)
  return { process: child, port }
}

const PATHS: Record<SluiceProtocol, string> = { native: '/v1/chat', 'openai-chat': '/v1/chat/completions' }

/** A chat that the upstream answers. */
export function chatRequest(port: number, protocol: SluiceProtocol = 'native'): string {
  return requestText({ port, path: PATHS[protocol], body: chatBody('openai/bench') })
}

/** Another reader of a stream. */
export function readRequest(port: number, id: string, cursor = 0): string {
  const headers: RequestParts['headers'] = cursor > 0 ? { 'last-event-id': String(cursor) } : {}
  return requestText({ port, method: 'GET', path: `/v1/streams/${id}`, headers })
}

/** Starts a stream without reading it; resolves to its id. */
export async function createStream(port: number, body: unknown): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'respond-async' },
    body: JSON.stringify(body),
  })
  if (response.status !== 202) throw new Error(`The stream was refused: ${await response.text()}`)
  const { id } = (await response.json()) as { id: string }
  return id
}

/** (g) and (h), of the checkout or of another build that is measured beside it. */
export function sluice(protocol: SluiceProtocol, { dist = DIST, label = '' } = {}): Relay {
  return {
    id: label ? `${protocol}-${label}` : protocol,
    ours: true,
    title: `**Sluice**, ${protocol}${label && ` (${label})`}`,
    async start(upstreamPort): Promise<Running> {
      const running = await startSluice(upstreamPort, { dist })
      return { ...running, request: chatRequest(running.port, protocol) }
    },
  }
}
