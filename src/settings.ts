import { getHeapStatistics } from 'node:v8'
import { z } from 'zod'
import { providerConfigSchema } from '../providers/options.ts'
import { jwtSchema, keySchema, limitsSchema } from './access/access-schema.ts'
import { checkAccess } from './access/check-access.ts'
import { breakerSchema, modelsSchema } from './routing/model-table.ts'
import {
  bytes,
  count,
  flag,
  list,
  milliseconds,
  names,
  origins,
  positiveMilliseconds,
  publicUrl,
  redisUrl,
  UNITS,
  wholeNumber,
} from './setting-schemas.ts'
import { pricesSchema } from './usage/prices.ts'

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

/** The rest is for short-lived objects: under load, at least a third of the heap is garbage. */
const HEAP_SHARE = 0.4

/**
 * All settings, with default and `--help` text. In `sluice.yaml` under these names, in the environment as `UPPER_CASE`.
 */
export const settings = {
  host: z.string().min(1).default('127.0.0.1').describe('address to listen on; 0.0.0.0 for all'),
  port: wholeNumber(0, 65_535).default(8080).describe('port to listen on; 0 for any free one'),
  logLevel: z
    .enum(LOG_LEVELS)
    .default('info')
    .describe(`one of ${LOG_LEVELS.join(', ')}`),
  logFormat: z
    .enum(['json', 'pretty'])
    .optional()
    .describe('json, or pretty: text for people; by default pretty in a terminal, else json'),
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
  drainMs: milliseconds.default(30_000).describe('how long running streams may go on after SIGTERM or SIGINT'),
  bodyLimit: bytes.default(10 * UNITS.mib).describe('size of a request body'),
  uploadLimit: bytes.default(32 * UNITS.mib).describe('size of a form with files'),
  sdkResumeWindowMs: milliseconds.default(0).describe('resumeWindowMs for the OpenAI and Anthropic protocols'),
  sdkStatusWaitMs: milliseconds
    .default(8_000)
    .describe('how long these wait for the first token, for an error to be a status; then the stream begins'),
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
  allowedHosts: names
    .prefault('')
    .describe(
      'names for Host and Origin beside those of this machine, comma-separated; * for all; checked on loopback, or where set',
    ),
  trustProxy: wholeNumber(0, 100)
    .default(0)
    .describe('proxies in front that add the address of their client to X-Forwarded-For'),
  allowAnonymous: flag
    .default(false)
    .describe('let everybody use a gateway that has no keys and listens beyond loopback'),
  adminPort: wholeNumber(0, 65_535)
    .optional()
    .describe('second port, for operators: PORT then serves neither /metrics nor the playground'),
  adminHost: z.string().min(1).default('127.0.0.1').describe('address to listen on for ADMIN_PORT'),
  metricsToken: z.string().default('').describe('bearer token for /metrics, and for nothing else'),
  ticketSecret: list
    .prefault('')
    .describe(
      'secret that signs tickets, so that they outlive a restart; after a comma, older secrets that are still accepted',
    ),
  ticketTtlMs: positiveMilliseconds
    .default(3_600_000)
    .describe('how long a ticket is valid whose request names no ttl'),
  maxStreams: count.default(0).describe('most streams that run at once; further ones get 503; 0 for no limit'),
  maxConnections: count.default(0).describe('most open connections; further ones are closed; 0 for no limit'),
  maxEventLoopDelayMs: milliseconds
    .default(1000)
    .describe('mean delay of the event loop, beyond which new streams get 503; 0 for no limit'),
  usageLog: z
    .string()
    .default('')
    .describe('file that gets a line of JSON per stream, for billing; - for standard output'),
  redisUrl: redisUrl
    .prefault('')
    .describe('Redis that several nodes share: redis://, redis+cluster:// or redis+sentinel://, rediss for TLS'),
  redisPrefix: z.string().max(64).default('sluice:').describe('start of the names of all keys in Redis'),
  storeDown: z
    .enum(['refuse', 'local'])
    .default('refuse')
    .describe('new streams while Redis is away: refuse them with 503, or serve them from this node alone'),
  leaseMs: wholeNumber(1000, 600_000)
    .default(5000)
    .describe('silence of a node after which the others give up its streams'),
  workers: z
    .union([z.literal('auto'), wholeNumber(1, 256)], 'expected auto or a whole number from 1 to 256')
    .default(1)
    .describe('processes that share the port, one per core with auto'),
  defaultModel: z
    .string()
    .min(1)
    .optional()
    .describe('model of requests that name none; by default the mock, if offered'),
  mock: flag.optional().describe('offer the mock; by default only when there is no other provider'),
  playground: flag.default(true).describe('serve the playground at /'),
}

/** Settings that `--print-config` masks. */
export const SECRET_SETTINGS: ReadonlySet<string> = new Set(['metricsToken', 'ticketSecret', 'redisUrl'])

/** Environment variable with keys of callers, as `name:key,name:key`; added to `keys`. */
export const KEYS_VARIABLE = 'SLUICE_KEYS'

/** Environment variables of a provider: they add it, or fill in fields that its entry omits. */
export const PROVIDER_VARIABLES = {
  openai: { apiKey: 'OPENAI_API_KEY', baseUrl: 'OPENAI_BASE_URL' },
  anthropic: { apiKey: 'ANTHROPIC_API_KEY', baseUrl: 'ANTHROPIC_BASE_URL' },
} as const

export const configSchema = z
  .strictObject({
    ...settings,
    providers: z
      .record(z.string().regex(/^[\w.-]+$/, 'a name has letters, digits, ".", "_" and "-"'), providerConfigSchema)
      .default({}),
    models: modelsSchema.default({}),
    /** Accept only the models named in `models`. */
    modelsOnly: z.boolean().default(false),
    breaker: breakerSchema.prefault({}),
    keys: z.array(keySchema).default([]),
    jwt: jwtSchema.optional(),
    /** Of all callers together. */
    limits: limitsSchema.default({}),
    prices: pricesSchema.default({}),
  })
  .refine(
    ({ corsCredentials, corsOrigin }) => !corsCredentials || (corsOrigin.length > 0 && !corsOrigin.includes('*')),
    {
      path: ['corsCredentials'],
      message: 'needs origins by name in CORS_ORIGIN: browsers send no cookies to a server that takes any origin',
    },
  )
  .superRefine(checkAccess)

export type Config = Readonly<z.infer<typeof configSchema>>

/** Settings of parts that live as long as the process: a change needs a restart. */
export const LASTING_SETTINGS = [
  'host',
  'port',
  'adminHost',
  'adminPort',
  'keepAliveMs',
  'maxConnections',
  'workers',
  'heartbeatMs',
  'slowReaderMs',
  'flushIntervalMs',
  'retentionMs',
  'streamMaxBytes',
  'storeMaxBytes',
  'usageLog',
  'redisUrl',
  'redisPrefix',
  'storeDown',
  'leaseMs',
  'logFormat',
] as const satisfies readonly (keyof Config)[]

/** What these parts may read of the configuration. All other settings can change while the gateway runs. */
export type LastingConfig = Pick<Config, (typeof LASTING_SETTINGS)[number]>

/** `heartbeatMs` → `HEARTBEAT_MS`. */
export function variableName(setting: string): string {
  return setting.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
}

/** One line for each setting: variable, default and description. */
export function describeSettings(): string {
  const rows = Object.entries(settings).map(([name, schema]) => ({
    variable: variableName(name),
    value: String(schema.parse(undefined) ?? ''),
    text: schema.description ?? '',
  }))
  rows.push({ variable: KEYS_VARIABLE, value: '', text: 'keys of callers, as name:key,name:key' })
  for (const variables of Object.values(PROVIDER_VARIABLES))
    for (const variable of Object.values(variables)) rows.push({ variable, value: '', text: 'adds this provider' })
  const width = Math.max(...rows.map(({ variable }) => variable.length))
  return rows.map(({ variable, value, text }) => `  ${variable.padEnd(width)}  ${value.padEnd(11)} ${text}`).join('\n')
}
