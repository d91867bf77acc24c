import { existsSync, readFileSync } from 'node:fs'
import { getHeapStatistics } from 'node:v8'
import { parse as parseYaml, stringify as toYaml, YAMLParseError } from 'yaml'
import { z } from 'zod'
import { providerConfigSchema } from '../providers/registry.ts'
import { ConfigError } from './errors.ts'
import { toFaults, type Fault } from './faults.ts'
import { isPlainRecord } from './json.ts'
import { maskConfig, maskUrl } from './mask-config.ts'
import { milliseconds, numeric, positiveMilliseconds } from './numeric.ts'
import { breakerSchema, checkTargets, modelsSchema } from './routing/model-table.ts'

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

const UNITS = { b: 1, kb: 1024, kib: 1024, mb: 1024 ** 2, mib: 1024 ** 2, gb: 1024 ** 3, gib: 1024 ** 3 } as const

/** The rest is for short-lived objects: under load, at least a third of the heap is garbage. */
const HEAP_SHARE = 0.4

const flag = z.union([z.boolean(), z.stringbool()])

/** `10mb`, `512 KiB` or a number of bytes; a kilobyte is 1024 bytes. */
const bytes = z.union([z.number(), z.string()]).transform((value, context) => {
  const [, amount, unit = 'b'] = /^(\d+(?:\.\d+)?)\s*([kmg]?i?b)?$/i.exec(String(value).trim()) ?? []
  const factor = unit.toLowerCase()
  if (amount !== undefined && isUnit(factor)) return Math.floor(Number(amount) * UNITS[factor])
  context.addIssue({ code: 'custom', message: 'expected a size such as 10mb' })
  return z.NEVER
})

function isUnit(text: string): text is keyof typeof UNITS {
  return text in UNITS
}

/** Comma-separated origins as browsers send them: no path, no default port. */
const origins = z.string().transform((value, context) =>
  value.split(',').flatMap((part) => {
    const origin = part.trim().replace(/\/$/, '').toLowerCase()
    if (origin === '' || origin === '*') return origin === '' ? [] : '*'
    if (/^[a-z][a-z\d+.-]*:\/\/[^/?#@*\s]+$/.test(origin) && URL.canParse(origin)) {
      const { origin: normal } = new URL(origin)
      return normal === 'null' ? origin : normal // Only the web's own schemes have a normal form.
    }
    context.addIssue({
      code: 'custom',
      message: `expected * or origins such as https://chat.example: ${maskUrl(part.trim())}`,
    })
    return z.NEVER
  }),
)

/** Without a trailing slash: paths are appended to it. */
const publicUrl = z.string().transform((value, context) => {
  const text = value.trim().replace(/\/+$/, '')
  if (text === '') return text
  if (/^https?:\/\/[^?#@\s]+$/i.test(text) && URL.canParse(text)) return new URL(text).href.replace(/\/$/, '')
  context.addIssue({ code: 'custom', message: `expected a URL such as https://chat.example/llm: ${maskUrl(text)}` })
  return z.NEVER
})

const names = z.string().transform((value) =>
  value
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== ''),
)

/**
 * All settings, with default and `--help` text. In `sluice.yaml` under these names, in the environment as `UPPER_CASE`.
 */
const settings = {
  host: z.string().min(1).default('127.0.0.1').describe('address to listen on; 0.0.0.0 for all'),
  port: numeric(z.number().int().min(0).max(65_535)).default(8080).describe('port to listen on; 0 for any free one'),
  logLevel: z
    .enum(LOG_LEVELS)
    .default('info')
    .describe(`one of ${LOG_LEVELS.join(', ')}`),
  // OkHttp gives up after 10 s of silence.
  heartbeatMs: positiveMilliseconds.default(8_000).describe('silence before a heartbeat comment'),
  resumeWindowMs: milliseconds.default(30_000).describe('how long a generation goes on without a reader'),
  retentionMs: milliseconds.default(300_000).describe('how long a finished stream can be read'),
  streamMaxBytes: bytes.default(8 * UNITS.mib).describe('size of one stream, beyond which it ends'),
  storeMaxBytes: bytes
    .default(Math.floor(HEAP_SHARE * getHeapStatistics().heap_size_limit))
    .describe("memory of all streams, requests and answers; by default 40 % of Node's heap limit"),
  slowReaderMs: positiveMilliseconds
    .default(30_000)
    .describe('time in which a client must read or send the next 16 KiB'),
  firstTokenTimeoutMs: positiveMilliseconds.default(300_000).describe('silence of a provider before its first token'),
  idleTimeoutMs: positiveMilliseconds.default(120_000).describe('silence of a provider after its first token'),
  flushIntervalMs: milliseconds.default(0).describe('how long deltas may gather before they leave as one frame'),
  drainMs: milliseconds.default(30_000).describe('how long running streams may go on after SIGTERM, SIGINT or SIGHUP'),
  bodyLimit: bytes.default(10 * UNITS.mib).describe('size of a request body'),
  sdkResumeWindowMs: milliseconds.default(0).describe('resumeWindowMs for the OpenAI and Anthropic protocols'),
  keepAliveMs: positiveMilliseconds
    .default(75_000)
    .describe('how long an idle connection is kept; proxies in front must give theirs up sooner'),
  tlsCert: z.string().default('').describe('file with a certificate in PEM; with TLS_KEY, HTTPS with HTTP/2'),
  tlsKey: z.string().default('').describe('file with its key in PEM'),
  publicUrl: publicUrl
    .prefault('')
    .describe('URL under which clients reach the gateway, for the addresses of streams; by default a path'),
  corsOrigin: origins.prefault('').describe('origins whose pages may use the API, comma-separated; * for all'),
  corsCredentials: flag.default(false).describe('let pages of CORS_ORIGIN send cookies, for a proxy that checks them'),
  allowedHosts: names.prefault('').describe('host names accepted on loopback, comma-separated; * for all'),
  trustProxy: numeric(z.number().int().min(0).max(100))
    .default(0)
    .describe('proxies in front that add the address of their client to X-Forwarded-For'),
  defaultModel: z
    .string()
    .min(1)
    .optional()
    .describe('model of requests that name none; by default the mock, if offered'),
  mock: flag.optional().describe('offer the mock; by default only when there is no other provider'),
  playground: flag.default(true).describe('serve the playground at /'),
}

export type Setting = keyof typeof settings

/** Environment variables of a provider: they add it, or fill in fields that its entry omits. */
const PROVIDER_VARIABLES = {
  openai: { apiKey: 'OPENAI_API_KEY', baseUrl: 'OPENAI_BASE_URL' },
  anthropic: { apiKey: 'ANTHROPIC_API_KEY', baseUrl: 'ANTHROPIC_BASE_URL' },
} as const

const configSchema = z
  .strictObject({
    ...settings,
    providers: z
      .record(z.string().regex(/^[\w.-]+$/, 'a name has letters, digits, ".", "_" and "-"'), providerConfigSchema)
      .default({}),
    models: modelsSchema.default({}),
    /** Accept only the models named in `models`. */
    modelsOnly: z.boolean().default(false),
    breaker: breakerSchema.prefault({}),
  })
  .refine(
    ({ corsCredentials, corsOrigin }) => !corsCredentials || (corsOrigin.length > 0 && !corsOrigin.includes('*')),
    {
      path: ['corsCredentials'],
      message: 'needs origins by name in CORS_ORIGIN: browsers send no cookies to a server that takes any origin',
    },
  )

export type Config = Readonly<z.infer<typeof configSchema>>

export type Environment = Readonly<Record<string, string | undefined>>

export interface ConfigSources {
  environment?: Environment
  /** Path of a YAML file; by default `sluice.yaml` in the working directory, if it exists. */
  file?: string | undefined
  /** Names of providers that are passed to the gateway instead of configured, so that `models` may refer to them. */
  providers?: readonly string[]
}

/**
 * Merges sources, checked by one schema: the environment overrides the file, which overrides defaults.
 * @throws ConfigError
 */
export function loadConfig({ environment = {}, file, providers: given = [] }: ConfigSources = {}): Config {
  const fromFile = readFile(file ?? (existsSync('sluice.yaml') ? 'sluice.yaml' : undefined), environment)
  const fromEnvironment: Record<string, unknown> = {}
  for (const name of Object.keys(settings)) {
    const value = environment[variableName(name)]
    if (value !== undefined && value !== '') fromEnvironment[name] = value
  }
  const configured = withEnvironment(isPlainRecord(fromFile.providers) ? fromFile.providers : {}, environment)
  const { data: wantsMock } = flag.safeParse(fromEnvironment.mock ?? fromFile.mock)
  const isAlone = given.length === 0 && Object.keys(configured).length === 0
  const providers = (wantsMock ?? isAlone) ? { mock: { type: 'mock' }, ...configured } : configured
  const input = {
    ...('mock' in providers && { defaultModel: 'mock' }),
    ...fromFile,
    ...fromEnvironment,
    ...(fromFile.providers === undefined || isPlainRecord(fromFile.providers) ? { providers } : {}),
  }
  const result = configSchema.safeParse(input)
  const faults = result.success
    ? checkTargets(result.data.models, new Set([...Object.keys(result.data.providers), ...given]))
    : toFaults(result.error.issues.flatMap(unfold))
  if (result.success && faults.length === 0) return Object.freeze(result.data)
  throw new ConfigError(
    faults.map(({ path, message }) => ({ path: path in fromEnvironment ? variableName(path) : path, message })),
  )
}

interface Issue {
  path: PropertyKey[]
  message: string
}

/**
 * Locates an issue precisely. Unknown settings: one issue for each. A union: the issues of its intended variant, the
 * one whose issues lie deepest.
 */
function unfold(issue: z.core.$ZodIssue): Issue[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: [...issue.path, withoutValue(key)], message: 'there is no such setting' }))
  if (issue.code === 'invalid_union') {
    const depth = (issues: readonly Issue[]) => Math.max(...issues.map(({ path }) => path.length))
    const [meant] = issue.errors.map((issues) => issues.flatMap(unfold)).toSorted((a, b) => depth(b) - depth(a))
    if (meant && depth(meant) > 0)
      return meant.map(({ path, message }) => ({ path: [...issue.path, ...path], message }))
  }
  return [{ path: issue.path, message: issue.message }]
}

/** In `{ apiKey:sk-1 }` a space is missing, so YAML reads the whole as a name. Messages must not quote it. */
function withoutValue(name: string): string {
  return name.replace(/[:=\s].*$/s, '…')
}

/** `heartbeatMs` → `HEARTBEAT_MS`. */
function variableName(setting: string): string {
  return setting.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
}

function readFile(file: string | undefined, environment: Environment): Record<string, unknown> {
  if (file === undefined) return {}
  let content: unknown
  try {
    // Warnings may quote the file, too.
    content = parseYaml(readFileSync(file, 'utf8'), { logLevel: 'error' }) ?? {}
  } catch (error) {
    throw new ConfigError([{ path: file, message: describeUnreadable(error) }])
  }
  if (!isPlainRecord(content)) throw new ConfigError([{ path: file, message: 'expected settings, one to a line' }])
  const faults: Fault[] = []
  const filled = fillIn(content, environment, '', faults)
  if (faults.length > 0) throw new ConfigError(faults)
  return isPlainRecord(filled) ? filled : {}
}

/** Where a file is invalid YAML, and why. Not the parser's message: it quotes the line, which may contain a secret. */
function describeUnreadable(error: unknown): string {
  if (error instanceof YAMLParseError) {
    const [{ line, col } = { line: 1, col: 1 }] = error.linePos ?? []
    return `line ${line}, column ${col}: ${error.code.toLowerCase().replaceAll('_', ' ')}`
  }
  // File system errors contain only a code and a path. All others come from the parser, about unresolved or excessive
  // aliases.
  return error instanceof Error && 'syscall' in error ? error.message : 'has an alias that cannot be resolved'
}

/** Replaces `${NAME}` with the environment's value, so that secrets need not be in a file. */
function fillIn(value: unknown, environment: Environment, path: string, faults: Fault[]): unknown {
  if (typeof value === 'string') {
    return value.replace(/\$\{(\w+)\}/g, (_, name: string) => {
      const found = environment[name]
      if (found === undefined) faults.push({ path, message: `the environment has no ${name}` })
      return found ?? ''
    })
  }
  if (Array.isArray(value)) return value.map((item, index) => fillIn(item, environment, `${path}[${index}]`, faults))
  if (!isPlainRecord(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      fillIn(item, environment, path ? `${path}.${name}` : name, faults),
    ]),
  )
}

function withEnvironment(configured: Record<string, unknown>, environment: Environment): Record<string, unknown> {
  const providers = { ...configured }
  for (const [name, variables] of Object.entries(PROVIDER_VARIABLES)) {
    const given: Record<string, unknown> = {}
    for (const [option, variable] of Object.entries(variables))
      if (environment[variable]) given[option] = environment[variable]
    const entry = providers[name]
    if (isPlainRecord(entry)) providers[name] = { ...(entry.type === name ? given : {}), ...entry }
    else if (entry === undefined && Object.keys(given).length > 0) providers[name] = { type: name, ...given }
  }
  return providers
}

const HARMLESS: ReadonlySet<string> = new Set([...Object.keys(settings), 'models', 'modelsOnly', 'breaker'])

/** The configuration as YAML, without its secrets. */
export function printConfig(config: Config): string {
  return toYaml(maskConfig(config, HARMLESS))
}

/** One line for each setting: variable, default and description. */
export function describeSettings(): string {
  const rows = Object.entries(settings).map(([name, schema]) => ({
    variable: variableName(name),
    value: String(schema.parse(undefined) ?? ''),
    text: schema.description ?? '',
  }))
  for (const variables of Object.values(PROVIDER_VARIABLES))
    for (const variable of Object.values(variables)) rows.push({ variable, value: '', text: 'adds this provider' })
  const width = Math.max(...rows.map(({ variable }) => variable.length))
  return rows.map(({ variable, value, text }) => `  ${variable.padEnd(width)}  ${value.padEnd(11)} ${text}`).join('\n')
}
