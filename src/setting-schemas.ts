import { z } from 'zod'
import { parseRedisUrl } from './store/backplane/redis-url.ts'

/** A number or a numeric string: the environment and `${NAME}` in a file contain only strings. */
export function numeric<T extends z.ZodType>(schema: T) {
  return z.preprocess(toNumber, schema)
}

function toNumber(value: unknown): unknown {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : NaN
  return Number.isNaN(number) ? value : number
}

export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER) {
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`
  const words = `expected a whole number ${range}`
  return numeric(z.number(words).int(words).min(least, words).max(most, words))
}

/** The longest delay of a Node timer. */
const MAX_MS = 2 ** 31 - 1

export const milliseconds = wholeNumber(0, MAX_MS)
export const positiveMilliseconds = wholeNumber(1, MAX_MS)

export const count = wholeNumber(0)

export const UNITS = {
  b: 1,
  kb: 1024,
  kib: 1024,
  mb: 1024 ** 2,
  mib: 1024 ** 2,
  gb: 1024 ** 3,
  gib: 1024 ** 3,
} as const

export const flag = z.union([z.boolean(), z.stringbool()], 'expected true or false')

/** `10mb`, `512 KiB` or a number of bytes; a kilobyte is 1024 bytes. */
export const bytes = z.union([z.number(), z.string()], 'expected a size such as 10mb').transform((value, context) => {
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
export const origins = z.string().transform((value, context) =>
  value.split(',').flatMap((part) => {
    const origin = part.trim().replace(/\/$/, '').toLowerCase()
    if (origin === '' || origin === '*') return origin === '' ? [] : '*'
    if (/^[a-z][a-z\d+.-]*:\/\/[^/?#@*\s]+$/.test(origin) && URL.canParse(origin)) {
      const { origin: normal } = new URL(origin)
      return normal === 'null' ? origin : normal // Only the web's own schemes have a normal form.
    }
    context.addIssue({ code: 'custom', message: 'expected * or origins such as https://chat.example' })
    return z.NEVER
  }),
)

/** Without a trailing slash: paths are appended to it. */
export const publicUrl = z.string().transform((value, context) => {
  const text = value.trim().replace(/\/+$/, '')
  if (text === '') return text
  if (/^https?:\/\/[^?#@\s]+$/i.test(text) && URL.canParse(text)) return new URL(text).href.replace(/\/$/, '')
  context.addIssue({ code: 'custom', message: 'expected a URL such as https://chat.example/llm' })
  return z.NEVER
})

/** Comma-separated. */
export const list = z.string().transform((value) =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
)

export const names = list.transform((items) => items.map((name) => name.toLowerCase()))

/** Empty, or a URL that `parseRedisUrl` reads. */
export const redisUrl = z
  .string()
  .trim()
  .superRefine((text, context) => {
    try {
      if (text !== '') parseRedisUrl(text)
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
    }
  })
