// `sluice check`: what the gateway would do with a configuration.

import { z } from 'zod'
import type { RegisteredProvider } from '../providers/registry.ts'
import type { Config } from './config.ts'
import { toSluiceError } from './errors.ts'
import { createVerifier } from './gateway-access.ts'
import { createRouting } from './gateway-routing.ts'
import { readCertificate } from './http/certificate.ts'
import { listensOnLoopback } from './access/loopback.ts'
import { maskUrl } from './mask-config.ts'
import { listTargets } from './routing/model-table.ts'
import type { Router } from './routing/router.ts'

/** How long an upstream may take to list its models. */
const ANSWER_MS = 15_000

const CONNECT_MS = 5_000

/** https://nodejs.org/api/errors.html#class-systemerror */
const systemError = z.object({
  code: z.string().regex(/^E[A-Z_]+$/),
  address: z.string().optional(),
  hostname: z.string().optional(),
  port: z.number().optional(),
})

type Row = readonly [name: string, ...lines: string[]]

export interface CheckOptions {
  /** Ask each upstream for its models. */
  readonly online: boolean
}

export interface CheckResult {
  readonly text: string
  /** All upstreams that were asked have answered. */
  readonly isOk: boolean
}

/** @throws ConfigError when a provider, a certificate or a key cannot be loaded */
export async function checkConfig(config: Config, { online }: CheckOptions): Promise<CheckResult> {
  readCertificate(config)
  await createVerifier(config)
  const { router } = await createRouting(config, [], { failed() {}, recovered() {} })
  const rows: Row[] = [
    ['Listens on', ...describeAddresses(config)],
    ['Callers', ...describeCallers(config)],
    ['Providers', ...Object.entries(config.providers).map(([name, entry]) => describeProvider(name, entry))],
    ['Models', ...describeModels(config)],
    ['Other names', describeCatchAll(router)],
    ['No model', config.defaultModel === undefined ? 'is refused (DEFAULT_MODEL is not set)' : config.defaultModel],
  ]
  const answers = online ? await Promise.all([...router.registered].map((each) => askUpstream(config, ...each))) : []
  if (online) rows.push(['Upstreams', ...answers.map(({ text }) => text)])
  await Promise.all([...router.registered.values()].map(async ({ provider }) => provider.close?.()))
  return {
    text: `The configuration has no faults.\n\n${writeRows(rows)}`,
    isOk: answers.every(({ isOk }) => isOk),
  }
}

function writeRows(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(([name]) => name.length)) + 3
  const text = rows.map(([name, ...lines]) => {
    const shown = lines.length > 0 ? lines : ['none']
    return shown.map((line, i) => `${(i === 0 ? name : '').padEnd(width)}${line}\n`).join('')
  })
  return text.join('')
}

function describeAddresses({ host, port, adminHost, adminPort, tlsCert, workers }: Config): string[] {
  const scheme = tlsCert === '' ? 'http' : 'https'
  const describe = (name: string, on: number) =>
    `${scheme}://${name.includes(':') ? `[${name}]` : name}:${on}${listensOnLoopback(name) ? ', for this machine only' : ''}`
  return [
    `${describe(host, port)}${workers === 1 ? '' : `, workers: ${workers}`}`,
    ...(adminPort === undefined ? [] : [`${describe(adminHost, adminPort)}, for operators`]),
  ]
}

function describeCallers({ keys, jwt }: Config): string[] {
  if (keys.length === 0 && !jwt) return ['everybody who reaches it, without a key']
  return [
    ...keys.map(({ name, scopes }) => `${name}: ${scopes.join(', ')}`),
    ...(jwt ? [`${jwt.name}: tokens of ${[jwt.issuer].flat().join(', ')}`] : []),
  ]
}

function describeProvider(name: string, entry: Config['providers'][string]): string {
  const models = entry.models ? entry.models.join(', ') : entry.type === 'mock' ? name : 'any model'
  if (entry.type === 'mock') return `${name}: the mock; ${models}`
  const keys = [entry.apiKey ?? []].flat().length
  const place = entry.type === 'module' ? entry.module : entry.baseUrl
  return `${name}: ${entry.type} at ${maskUrl(place)}; ${keys === 1 ? '1 key' : `${keys || 'no'} keys`}; ${models}`
}

function describeModels({ models }: Config): string[] {
  return Object.entries(models).map(
    ([name, specs]) =>
      `${name}: ${listTargets(specs)
        .map(({ target }) => target)
        .join(', ')}`,
  )
}

function describeCatchAll(router: Router): string {
  const [openai, anthropic] = [router.catchAll('openai'), router.catchAll('anthropic')]
  if (openai === anthropic) return openai === undefined ? 'are refused' : `go to ${openai}`
  const each = (provider: string | undefined) => (provider === undefined ? 'are refused' : `go to ${provider}`)
  return `${each(openai)}, over the Anthropic protocol they ${each(anthropic)}`
}

async function askUpstream(
  config: Config,
  name: string,
  { provider, options, keys = [] }: RegisteredProvider,
): Promise<{ text: string; isOk: boolean }> {
  if (!provider.listModels) return { text: `${name}: not asked, it lists no models`, isOk: true }
  try {
    const signal = AbortSignal.timeout(ANSWER_MS)
    const apiKey = keys[0]?.key
    const models = await provider.listModels({ signal, options, apiKey, connectTimeoutMs: CONNECT_MS })
    return { text: `${name}: answers, with ${models.length} models`, isOk: true }
  } catch (error) {
    const { message, upstreamStatus } = toSluiceError(error)
    const status = upstreamStatus === undefined ? '' : ` (HTTP ${upstreamStatus})`
    const advice = upstreamStatus === 404 ? adviseOn(config.providers[name]) : ''
    return { text: `${name}: ${message}${status}${describeCause(error)}${advice}`, isOk: false }
  }
}

/** The code and the address of the system's error behind a failure. */
function describeCause(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { data } = systemError.safeParse(cause)
    if (!data) continue
    const { code, address, hostname = address, port } = data
    const place = [hostname, port].filter((each) => each !== undefined).join(':')
    return ` (${[code, place].filter((each) => each !== '').join(' ')})`
  }
  return ''
}

/** Most servers of this API have their routes below `/v1`. */
function adviseOn(entry: Config['providers'][string] | undefined): string {
  if (entry?.type !== 'openai' || /\/v\d/.test(new URL(entry.baseUrl).pathname)) return ''
  return `; does baseUrl lack "/v1"? It is ${maskUrl(entry.baseUrl)}`
}
