import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { freePort, GATEWAY_CORE, PinnedProcess, temporaryFolder, untilListening } from '../processes.ts'
import { chatRequests, requestText, type RequestParts } from '../request.ts'
import type { Relay, Running } from './relay.ts'

/** As `npm run build` leaves it. */
export const DIST = fileURLToPath(new URL('../../dist', import.meta.url))

export type SluiceProtocol = 'native' | 'openai-chat'

export interface StartSluice {
  dist?: string
  node?: string
  /** On top of a provider `openai` that is the upstream. */
  env?: Record<string, string>
  /** Callers need the key, and each request is logged to a file: as its users run it. */
  guarded?: boolean
  core?: number | string
}

/** What `npm start` gives to Node. */
const { scripts } = z
  .object({ scripts: z.object({ start: z.string() }) })
  .parse(createRequire(import.meta.url)('sluice/package.json'))
const NODE_OPTIONS = scripts.start.split(' ').filter((word) => word.startsWith('--'))

const KEY = 'key-of-the-bench'
/** The headers that callers of a guarded gateway send. */
export const WITH_KEY = { authorization: `Bearer ${KEY}` }

/** A gateway with its default settings; unless guarded, it logs nothing below a warning. */
export async function startSluice(
  upstreamPort: number,
  { dist = DIST, node = process.execPath, env = {}, guarded = false, core = GATEWAY_CORE }: StartSluice = {},
) {
  const port = await freePort()
  // An empty folder: no `sluice.yaml` of somebody's is found.
  const cwd = temporaryFolder()
  const child = new PinnedProcess(node, [...NODE_OPTIONS, join(dist, 'src/main.js')], {
    core,
    cwd,
    logFile: guarded ? join(cwd, 'log') : undefined,
    env: {
      PORT: String(port),
      ...(guarded ? { SLUICE_KEYS: `bench:${KEY}` } : { LOG_LEVEL: 'warn' }),
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

function requestsOf(port: number, protocol: SluiceProtocol, headers?: Record<string, string>) {
  return chatRequests({ port, path: PATHS[protocol], headers, model: 'openai/bench' })
}

/** A chat that the upstream answers. */
export function chatRequest(port: number, protocol: SluiceProtocol = 'native'): string {
  return requestsOf(port, protocol).request
}

/** Another reader of a stream. */
export function readRequest(port: number, id: string, cursor = 0, headers: RequestParts['headers'] = {}): string {
  const all = cursor > 0 ? { ...headers, 'last-event-id': String(cursor) } : headers
  return requestText({ port, method: 'GET', path: `/v1/streams/${id}`, headers: all })
}

/** Starts a stream without reading it; resolves to its id. */
export async function createStream(
  port: number,
  body: unknown,
  headers: RequestParts['headers'] = {},
): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'respond-async', ...headers },
    body: JSON.stringify(body),
  })
  if (response.status !== 202) throw new Error(`The stream was refused: ${await response.text()}`)
  const { id } = (await response.json()) as { id: string }
  return id
}

/** (g) and (h), of the checkout or of another build that is measured beside it. */
export function sluice(protocol: SluiceProtocol, { dist = DIST, label = '' } = {}): Relay {
  const relay = {
    id: label ? `${protocol}-${label}` : protocol,
    ours: true,
    title: `**Sluice**, ${protocol}${label && ` (${label})`}`,
  }
  const start = async (upstreamPort: number, options: StartSluice): Promise<Running> => {
    const running = await startSluice(upstreamPort, { dist, ...options })
    return { ...running, ...requestsOf(running.port, protocol, options.guarded ? WITH_KEY : {}) }
  }
  return {
    ...relay,
    start: ({ upstreamPort, node }) => start(upstreamPort, { node }),
    guarded: { ...relay, start: ({ upstreamPort, node }) => start(upstreamPort, { node, guarded: true }) },
  }
}
