import * as fc from 'fast-check'

const words = fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme' }).filter((text) => text.trim() !== '')
const cache_control = fc.constantFrom({ type: 'ephemeral' }, { type: 'ephemeral', ttl: '1h' })
const id = fc.stringMatching(/^[a-zA-Z0-9_-]{1,8}$/)
const base64 = fc.base64String({ minLength: 4, maxLength: 12 })
const json = fc.dictionary(words, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3, noNullPrototype: true })

/** A record of which the fields `required` names are always there. */
function record<T extends Record<string, fc.Arbitrary<unknown>>>(model: T, ...required: (keyof T & string)[]) {
  return fc.record(model, { requiredKeys: required, noNullPrototype: true })
}

const text = record({ type: fc.constant('text'), text: words, cache_control }, 'type', 'text')
const image = record(
  {
    type: fc.constant('image'),
    source: fc.oneof(
      fc.record({ type: fc.constant('base64'), media_type: fc.constantFrom('image/png', 'image/webp'), data: base64 }),
      fc.record({ type: fc.constant('url'), url: fc.webUrl() }),
      fc.record({ type: fc.constant('file'), file_id: words }),
    ),
    cache_control,
  },
  'type',
  'source',
)
const document = record(
  {
    type: fc.constant('document'),
    source: fc.oneof(
      fc.record({ type: fc.constant('base64'), media_type: fc.constant('application/pdf'), data: base64 }),
      fc.record({ type: fc.constant('url'), url: fc.webUrl() }),
      fc.record({ type: fc.constant('file'), file_id: words }),
      fc.record({ type: fc.constant('text'), media_type: fc.constant('text/plain'), data: words }),
      fc.record({ type: fc.constant('content'), content: fc.array(text, { minLength: 1, maxLength: 2 }) }),
    ),
    title: fc.option(words),
    context: words,
    citations: fc.constant({ enabled: true }),
  },
  'type',
  'source',
)
const searchResult = fc.record({
  type: fc.constant('search_result'),
  source: fc.webUrl(),
  title: words,
  content: fc.array(text, { minLength: 1, maxLength: 2 }),
})
const toolResult = record(
  {
    type: fc.constant('tool_result'),
    tool_use_id: id,
    content: fc.oneof(words, fc.array(fc.oneof(text, image, searchResult), { minLength: 1, maxLength: 3 })),
    is_error: fc.boolean(),
    cache_control,
  },
  'type',
  'tool_use_id',
)
const toolUse = record(
  {
    type: fc.constant('tool_use'),
    id,
    name: words,
    input: json,
    caller: fc.constant({ type: 'direct' }),
    cache_control,
  },
  'type',
  'id',
  'name',
  'input',
)
const thinking = fc.oneof(
  fc.record({ type: fc.constant('thinking'), thinking: words, signature: words }),
  fc.record({ type: fc.constant('redacted_thinking'), data: words }),
)
const serverToolUse = fc.record({
  type: fc.constant('server_tool_use'),
  id: words,
  name: fc.constant('web_search'),
  input: json,
})

const contentOf = (block: fc.Arbitrary<unknown>) => fc.oneof(words, fc.array(block, { minLength: 1, maxLength: 5 }))
const question = fc.record({
  role: fc.constant('user'),
  content: contentOf(fc.oneof(text, image, document, searchResult, toolResult)),
})
const message = fc.oneof(
  question,
  fc.record({ role: fc.constant('assistant'), content: contentOf(fc.oneof(text, thinking, toolUse, serverToolUse)) }),
)
const instruction = fc.record({ role: fc.constant('system'), content: contentOf(text) })

const input_schema = json.map((schema) => ({ ...schema, type: 'object' }))
const tool = fc.oneof(
  record(
    { type: fc.constant('custom'), name: words, description: words, input_schema, strict: fc.boolean(), cache_control },
    'name',
    'input_schema',
  ),
  fc.constant({ type: 'web_search_20250305', name: 'web_search', max_uses: 5 }),
)
const disable_parallel_tool_use = fc.constant(true)
const toolChoice = fc.oneof(
  record({ type: fc.constantFrom('auto', 'any'), disable_parallel_tool_use }, 'type'),
  record({ type: fc.constant('tool'), name: words, disable_parallel_tool_use }, 'type', 'name'),
  fc.constant({ type: 'none' }),
)

interface Message {
  role: string
  content: unknown
}

/** Leaves instructions where the API takes them, between a question and an answer, and gives each call its own id. */
function toConversation([first, rest]: [Message, Message[]]): Message[] {
  let calls = 0
  return [first, ...rest]
    .filter(
      ({ role }, i, all) =>
        role !== 'system' || (all[i - 1]?.role === 'user' && (all[i + 1]?.role ?? 'assistant') === 'assistant'),
    )
    .map(({ role, content }) => ({
      role,
      content: Array.isArray(content)
        ? content.map((block: { type: string }) =>
            block.type === 'tool_use' ? { ...block, id: `toolu_${++calls}` } : block,
          )
        : content,
    }))
}

/** Any body of `POST /v1/messages` that the API could take. */
export const anyBody = record(
  {
    model: fc.constant('claude-opus-4-8'),
    max_tokens: fc.nat(),
    messages: fc
      .tuple(
        question,
        fc.array(fc.oneof({ weight: 4, arbitrary: message }, { weight: 1, arbitrary: instruction }), { maxLength: 4 }),
      )
      .map(toConversation),
    system: contentOf(text),
    tools: fc.array(tool, { minLength: 1, maxLength: 3 }),
    tool_choice: toolChoice,
    stop_sequences: fc.array(words, { minLength: 1, maxLength: 2 }),
    temperature: fc.double({ min: 0, max: 1, noNaN: true }),
    top_p: fc.double({ min: 0, max: 1, noNaN: true }),
    top_k: fc.nat(),
    thinking: fc.constantFrom({ type: 'adaptive' }, { type: 'enabled', budget_tokens: 1024 }, { type: 'disabled' }),
    metadata: fc.record({ user_id: words }),
    output_config: record(
      {
        effort: fc.constantFrom('low', 'max'),
        format: fc.record({ type: fc.constant('json_schema'), schema: json }),
        task_budget: fc.constant({ total: 5 }),
      },
      'effort',
    ),
    service_tier: fc.constantFrom('auto', 'standard_only'),
    cache_control,
    container: words,
  },
  'model',
  'max_tokens',
  'messages',
).map(({ tool_choice, ...body }) => (body.tools && tool_choice ? { ...body, tool_choice } : body))
