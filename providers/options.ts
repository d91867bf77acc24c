import { validateHeaderName, validateHeaderValue } from 'node:http'
import { z } from 'zod'
import { isRecord } from '../src/json.ts'
import { toProxy } from './transport/proxy.ts'

// What the configuration may say of a provider. Apart from the providers, so that reading it loads none of them.

/** The provider's base URL. */
const baseUrlSchema = z
  .url({ protocol: /^https?$/, abort: true })
  .refine((url) => !hasCredentials(new URL(url)), 'must not contain credentials; use apiKey or headers')

/** Headers that frame the request; the configuration must not set them. */
const FRAMING = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Headers sent with every request to a provider. */
const headersSchema = z
  .record(z.string().refine(isHeaderName), z.string().refine(isHeaderValue, 'cannot be sent in a header'), {
    error: ({ code }) => (code === 'invalid_key' ? 'is not a header that can be set' : undefined),
  })
  .default({})

const PROXY_FORMS = 'expected false or the URL of an HTTP proxy, such as http://proxy.example:3128'

/** Connection settings of a provider. */
const transportOptions = {
  /** Maximum open connections; further requests wait for a free one, up to the connect timeout. */
  maxConnections: z.number().int().positive().optional(),
  /** Path of a PEM file: certificate authorities that are trusted instead of Node's. */
  ca: z.string().min(1).optional(),
  /** Paths of PEM files: the client certificate and its key. */
  cert: z.string().min(1).optional(),
  key: z.string().min(1).optional(),
  /** URL of a proxy, or false to use none. By default HTTPS_PROXY, HTTP_PROXY and NO_PROXY apply. */
  proxy: z
    .union([z.literal(false), z.string().refine((url) => toProxy(url) !== undefined, PROXY_FORMS)], PROXY_FORMS)
    .optional(),
}

/** An API key. It is sent in a header, so it must be a valid header value. */
const keySchema = z.string().min(1).refine(isHeaderValue, 'cannot be sent in a header')

export const openaiOptions = z.object({
  /** The URL without `/chat/completions`. */
  baseUrl: baseUrlSchema.default('https://api.openai.com/v1'),
  /** Bearer token for attempts without their own key. Absent for local servers that need none. */
  apiKey: keySchema.optional(),
  headers: headersSchema,
  ...transportOptions,
  /**
   * The API for chats: `chat` (Chat Completions) or `responses`; or by model, where the first pattern that matches
   * decides, `*` stands for any characters, and other models get `chat`. When absent, requests of the Responses API go
   * to api.openai.com as they came, and all others are `chat`.
   */
  api: z
    .union(
      [z.enum(['chat', 'responses']), z.record(z.string().min(1).max(256), z.enum(['chat', 'responses']))],
      'expected chat, responses, or patterns of models with one of them',
    )
    .optional(),
  /** Requests token counts with `stream_options`; set to false for servers that refuse the field. */
  includeUsage: z.boolean().default(true),
})

export const anthropicOptions = z.object({
  /** Up to and without `/v1/messages`. */
  baseUrl: baseUrlSchema.default('https://api.anthropic.com'),
  /** Sent as `x-api-key` when an attempt brings no key of its own. */
  apiKey: keySchema.optional(),
  headers: headersSchema,
  ...transportOptions,
  /** Maximum tokens of an answer when the request sets no limit: Anthropic requires one. */
  maxTokens: z.number().int().positive().default(8192),
})

const models = z.array(z.string().min(1)).min(1).optional()

/** False: the upstream is not asked which models it has, to show them in `/v1/models`. */
const listModels = z.boolean().optional()

/** One key, or several: each attempt draws one by weight. The default weight is 1. */
const apiKey = z
  .union(
    [
      keySchema,
      z
        .array(
          z.union([keySchema, z.strictObject({ key: keySchema, weight: z.coerce.number().positive().optional() })]),
        )
        .min(1),
    ],
    'expected a key or a list of keys',
  )
  .optional()

const builtIn = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('mock'), models }),
    z.strictObject({ type: z.literal('openai'), models, listModels, ...openaiOptions.shape, apiKey }),
    z.strictObject({ type: z.literal('anthropic'), models, listModels, ...anthropicOptions.shape, apiKey }),
    z.strictObject({
      type: z.literal('module'),
      /** A path or URL of a module, or the name of a package, whose default export is a provider. */
      module: z.string().min(1),
      models,
      listModels,
      apiKey,
      options: z.record(z.string(), z.unknown()).default({}),
    }),
  ],
  'needs a type (mock, openai, anthropic) or a module',
)

/** One entry under `providers` in the configuration. The field `module` implies its `type`. */
export const providerConfigSchema = z.preprocess(
  (entry) => (isRecord(entry) && 'module' in entry ? { type: 'module', ...entry } : entry),
  builtIn,
)

export type Keys = z.infer<typeof apiKey>
export type ProviderConfig = z.infer<typeof providerConfigSchema>

function hasCredentials({ username, password }: URL): boolean {
  return username !== '' || password !== ''
}

function isHeaderName(name: string): boolean {
  return !FRAMING.has(name.toLowerCase()) && succeeds(() => validateHeaderName(name))
}

function isHeaderValue(value: string): boolean {
  return succeeds(() => validateHeaderValue('header', value))
}

function succeeds(check: () => void): boolean {
  try {
    check()
    return true
  } catch {
    return false
  }
}
