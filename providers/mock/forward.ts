import { createHash } from 'node:crypto'
import { z } from 'zod'
import { invalidRequest } from '../../src/errors.ts'
import { toFaults } from '../../src/faults.ts'
import { parseJson } from '../../src/json.ts'
import type { ForwardRequest, ForwardResponse } from '../provider.ts'
import { mulberry32 } from './random.ts'

// What the mock offers beside chats. The same input always gives the same result.

/** OpenAI's limits. */
const MAX_INPUTS = 2048
const MAX_DIMENSIONS = 3072

/** Not a schema for each number: there may be hundreds of thousands. */
const tokens = z.custom<number[]>(
  (value) => Array.isArray(value) && value.length > 0 && value.every((each) => Number.isInteger(each)),
  'expected a list of tokens',
)
const embeddingsSchema = z.looseObject({
  model: z.string().optional(),
  input: z.union([
    z.string(),
    tokens,
    z
      .array(z.union([z.string(), tokens]))
      .min(1)
      .max(MAX_INPUTS),
  ]),
  dimensions: z.number().int().min(1).max(MAX_DIMENSIONS).default(256),
  encoding_format: z.enum(['float', 'base64']).default('float'),
})

const part = z.looseObject({ type: z.string(), text: z.string().optional() })
const moderationsSchema = z.looseObject({
  model: z.string().optional(),
  input: z.union([z.string(), z.array(z.string()).min(1), z.array(part).min(1)]),
})

const ROUTES: Readonly<Record<string, (body: unknown) => Iterable<string>>> = {
  '/embeddings': (body) => embed(parse(embeddingsSchema, body)),
  '/moderations': (body) => moderate(parse(moderationsSchema, body)),
}

export const MOCK_ROUTES = Object.keys(ROUTES)

export function forwardMock({ route, body }: ForwardRequest): ForwardResponse {
  const json = ROUTES[route]?.(typeof body === 'string' ? parseJson(body, { depth: 128, size: 1_000_000 }) : undefined)
  return { status: 200, headers: new Map([['content-type', 'application/json']]), body: toBytes(json ?? []) }
}

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  throw invalidRequest(toFaults(result.error.issues))
}

async function* toBytes(json: Iterable<string>): AsyncGenerator<Uint8Array> {
  for (const text of json) {
    yield Buffer.from(text)
    // Other requests get a turn between two vectors.
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** https://platform.openai.com/docs/api-reference/embeddings/object */
function* embed({ model, input, dimensions, encoding_format }: z.infer<typeof embeddingsSchema>): Generator<string> {
  const inputs = Array.isArray(input) && typeof input[0] !== 'number' ? input : [input]
  let count = 0
  yield '{"object":"list","data":['
  for (const [index, each] of inputs.entries()) {
    count += typeof each === 'string' ? Math.ceil(each.length / 4) : Array.isArray(each) ? each.length : 1
    const vector = vectorOf(JSON.stringify(each), dimensions)
    const embedding = encoding_format === 'base64' ? Buffer.from(vector.buffer).toString('base64') : [...vector]
    yield `${index > 0 ? ',' : ''}${JSON.stringify({ object: 'embedding', index, embedding })}`
  }
  yield `],${JSON.stringify({ model, usage: { prompt_tokens: count, total_tokens: count } }).slice(1)}`
}

/** A unit vector that depends on the whole text. */
function vectorOf(text: string, dimensions: number): Float32Array {
  const random = mulberry32(createHash('sha256').update(text).digest().readInt32LE())
  const vector = Float32Array.from({ length: dimensions }, () => random() - 0.5)
  const length = Math.hypot(...vector)
  return vector.map((value) => value / length)
}

const CATEGORIES = [
  'harassment',
  'harassment/threatening',
  'hate',
  'hate/threatening',
  'illicit',
  'illicit/violent',
  'self-harm',
  'self-harm/intent',
  'self-harm/instructions',
  'sexual',
  'sexual/minors',
  'violence',
  'violence/graphic',
]

/** A text is in a category when it names it. https://platform.openai.com/docs/api-reference/moderations/object */
function* moderate({ model, input }: z.infer<typeof moderationsSchema>): Generator<string> {
  const inputs = typeof input === 'string' ? [input] : input
  const texts = inputs.flatMap((each) => (typeof each === 'string' ? [each] : []))
  const parts = inputs.flatMap((each) => (typeof each === 'string' ? [] : [each.text ?? '']))
  const results = [...texts, ...(parts.length > 0 ? [parts.join('\n')] : [])].map((text) => {
    const named = new Set(CATEGORIES.filter((category) => text.toLowerCase().includes(category)))
    const each = <T>(value: (category: string) => T) =>
      Object.fromEntries(CATEGORIES.map((name) => [name, value(name)]))
    return {
      flagged: named.size > 0,
      categories: each((name) => named.has(name)),
      category_scores: each((name) => (named.has(name) ? 0.99 : 0.0001)),
      category_applied_input_types: each((name) => (named.has(name) ? ['text'] : [])),
    }
  })
  yield JSON.stringify({ id: 'modr-mock', model, results })
}
