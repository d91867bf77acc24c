import type { Config } from '../../src/config.ts'
import { startGateway, type TestGateway } from './gateway.ts'
import { startUpstream, type Answer, type Upstream, type UpstreamRequest } from './upstream.ts'

/** The name under which the gateway and the upstream know the model, so that answers can be the same. */
export const MODEL = 'gpt-test'

/** What came of one call. */
export interface Outcome<T> {
  result?: T
  error?: unknown
  /** What the upstream was asked. */
  request: UpstreamRequest
}

/** An upstream, and a gateway that knows nothing else. */
export interface Scene {
  upstream: Upstream
  gateway: TestGateway
}

export async function startScene(
  type: 'openai' | 'anthropic',
  answer: Answer,
  settings: Partial<Config> = {},
): Promise<Scene> {
  const upstream = await startUpstream(answer)
  const provider =
    type === 'openai'
      ? { type, baseUrl: `${upstream.url}/v1`, headers: {}, includeUsage: true, apiKey: 'upstream-key' }
      : { type, baseUrl: upstream.url, headers: {}, maxTokens: 4096, apiKey: 'upstream-key' }
  const gateway = await startGateway({
    providers: { upstream: provider },
    models: { [MODEL]: { target: `upstream/${MODEL}`, retries: 0 } },
    ...settings,
  })
  return { upstream, gateway }
}

/** Does the same twice: straight at an upstream, and through a gateway before it. */
export async function bothWays<T>(
  type: 'openai' | 'anthropic',
  answer: Answer,
  call: (origin: string, upstream: Upstream) => Promise<T>,
): Promise<{ straight: Outcome<T>; through: Outcome<T> }> {
  const { upstream, gateway } = await startScene(type, answer)
  return {
    straight: await outcome(upstream.url, upstream, 0, call),
    through: await outcome(gateway.url, upstream, 1, call),
  }
}

async function outcome<T>(
  origin: string,
  upstream: Upstream,
  position: number,
  call: (origin: string, upstream: Upstream) => Promise<T>,
): Promise<Outcome<T>> {
  const came = await call(origin, upstream).then(
    (result) => ({ result: plain(result) }),
    (error: unknown) => ({ error }),
  )
  const request = upstream.requests[position]
  if (!request) throw new Error('The upstream was not asked', { cause: came })
  return { ...came, request }
}

/** As JSON, which is what an application would keep. */
function plain<T>(value: T): T {
  return value === undefined ? value : JSON.parse(JSON.stringify(value))
}

/** A value without what says nothing in it: null, and an empty list. */
export function meaningful(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(meaningful)
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value).filter(
    ([, each]) => each !== null && !(Array.isArray(each) && each.length === 0),
  )
  return Object.fromEntries(fields.map(([name, each]) => [name, meaningful(each)]))
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const item of items) collected.push(item)
  return collected
}
