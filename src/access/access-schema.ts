// `keys`, `jwt` and `limits` in the configuration.

import { z } from 'zod'
import { count, numeric } from '../setting-schemas.ts'
import { SCOPES, USUAL_SCOPES } from './caller.ts'

/** Counted in billionths, which must be safe integers. */
const budget = numeric(z.number().min(0).max(9_000_000))

/** See `Limits`. */
export const limitsSchema = z.strictObject({
  requestsPerMinute: count.optional(),
  concurrentStreams: count.optional(),
  tokensPerMinute: count.optional(),
  tokensPerDay: count.optional(),
  costPerDay: budget.optional(),
  costPerMonth: budget.optional(),
  maxTokens: count.optional(),
})

/** Safe in logs and as the label of a metric; without a colon, which separates it from a user. */
export const callerName = z.string().regex(/^[\w.-]{1,64}$/, 'expected up to 64 letters, digits, ".", "_" and "-"')

const scopes = z.array(z.enum(SCOPES))

const modelPatterns = z
  .array(z.string().regex(/^[^*]+\*?$|^\*$/, 'may hold a "*" at its end only'))
  .describe('names of models, which may end in *')

const grant = {
  scopes: scopes.default([...USUAL_SCOPES]),
  models: modelPatterns.optional(),
  limits: limitsSchema.default({}),
  /** Of each end user. */
  userLimits: limitsSchema.default({}),
}

/** Characters that a header can hold. A hash is refused: a reader of it must not have the key. */
const keyText = z
  .string()
  .regex(/^[\x21-\x7e]+$/, 'expected letters, digits and signs of ASCII, without spaces')
  .regex(/^(?!sha256:)/, 'expected the key itself; in a file, its hash can be the "hash"')

/** The hash that `sluice key create` prints. */
const keyHash = z.string().regex(/^sha256:[\da-f]{64}$/, 'expected sha256: and 64 hex digits, from "sluice key create"')

export const keySchema = z
  .strictObject({
    name: callerName,
    hash: keyHash.optional(),
    /** For `${NAME}`: a file should hold the hash. */
    key: keyText.optional(),
    ...grant,
    /** Requests may name an end user, with `Sluice-User` or in the body. */
    actsForUsers: z.boolean().default(true),
  })
  .refine(({ hash, key }) => (hash === undefined) !== (key === undefined), {
    path: ['hash'],
    message: 'expected either hash or key',
  })

const names = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)], 'expected a name or a list of names')

export const jwtSchema = z
  .strictObject({
    /** Name of these callers in logs and metrics. */
    name: callerName.default('jwt'),
    issuer: names,
    audience: names,
    /** Where the issuer publishes its keys. */
    jwksUrl: z.url({ protocol: /^https?$/, error: 'expected the URL of a JSON Web Key Set' }).optional(),
    /** Its public key in PEM. */
    publicKey: z.string().min(1).optional(),
    /** Shared with the issuer: HS256 and its kin. */
    secret: z.string().min(32, 'expected at least 32 characters').optional(),
    /** The claim that names the owner. */
    ownerClaim: z.string().min(1).default('sub'),
    /** A claim with scopes, as a list or separated by spaces; those of `scopes` when absent. */
    scopesClaim: z.string().min(1).optional(),
    ...grant,
  })
  .refine(
    ({ jwksUrl, publicKey, secret }) => [jwksUrl, publicKey, secret].filter((each) => each !== undefined).length === 1,
    { path: ['jwksUrl'], message: 'expected exactly one of jwksUrl, publicKey and secret' },
  )

export type KeyConfig = z.infer<typeof keySchema>
export type JwtConfig = z.infer<typeof jwtSchema>
