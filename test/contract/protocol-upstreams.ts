import type { ServerResponse } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { startGateway } from '../support/gateway.ts'
import { startUpstream } from '../support/upstream.ts'
import { FAILURE, saidBy, USAGE, type Backend, type Script } from './protocol-backend.ts'
import type { Fields } from './protocol-client.ts'

/** How a kind of server says what a script says, in frames. */
interface Dialect {
  /** What comes before the pieces, without a token in it. */
  start: string[]
  /** The frames of each piece: reasoning, then text. */
  pieces(script: Script): string[]
  /** The rest, from the calls on. */
  end(script: Script): string[]
  /** An error in mid-stream. */
  failure: string
  errorBody: Fields
}

function fromUpstream(name: 'openai' | 'anthropic', path: string, dialect: Dialect): Backend {
  return {
    name,
    async start(settings) {
      let script: Script = {}
      let goOn = () => {}
      const paused = () => new Promise<void>((resolve) => (goOn = resolve))
      const upstream = await startUpstream((response) => perform(dialect, script, response, paused))
      const provider = { baseUrl: `${upstream.url}${path}`, headers: {}, apiKey: 'upstream-key' }
      return {
        gateway: await startGateway({
          providers: {
            upstream:
              name === 'openai'
                ? { type: name, includeUsage: true, ...provider }
                : { type: name, maxTokens: 4096, ...provider },
          },
          models: { model: { target: 'upstream/model', retries: 0 } },
          ...settings,
        }),
        upstream,
        goOn: () => goOn(),
        play(next) {
          script = next
          return {}
        },
        expected: saidBy,
      }
    },
  }
}

async function perform(
  dialect: Dialect,
  script: Script,
  response: ServerResponse,
  paused: () => Promise<void>,
): Promise<void> {
  const { pauseAt, failAt, truncateAt } = script
  if (failAt === 0 && pauseAt === undefined) {
    response.writeHead(500, { 'content-type': 'application/json' }).end(JSON.stringify(dialect.errorBody))
    return
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  for (const frame of dialect.start) response.write(frame)
  for (const [at, frames] of [...dialect.pieces(script).map((frame) => [frame]), dialect.end(script)].entries()) {
    if (at === pauseAt) await paused()
    if (at === failAt) response.write(dialect.failure)
    if (at === failAt || at === truncateAt) break
    for (const frame of frames) {
      response.write(frame)
      // What is written in one turn is mostly read in one.
      await nextTurn()
    }
  }
  response.end()
}

const data = (fields: Fields) => `data: ${JSON.stringify(fields)}\n\n`

const head = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1_763_000_000, model: 'model-2025' }
const choice = (delta: Fields, finish_reason: string | null = null) =>
  data({ ...head, choices: [{ index: 0, delta, finish_reason }], usage: null })
const chatError = { error: { message: FAILURE, type: 'server_error', param: null, code: null } }

export const openai = fromUpstream('openai', '/v1', {
  start: [choice({ role: 'assistant', content: '', refusal: null })],
  pieces: ({ reasoning = [], text = [] }) => [
    ...reasoning.map((each) => choice({ reasoning_content: each })),
    ...text.map((content) => choice({ content })),
  ],
  end: ({ calls = [], finish = 'stop' }) => [
    ...calls.flatMap(({ id, name, arguments: pieces }, index) => [
      choice({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] }),
      ...pieces.map((json) => choice({ tool_calls: [{ index, function: { arguments: json } }] })),
    ]),
    choice({}, finish),
    data({
      ...head,
      choices: [],
      usage: {
        prompt_tokens: USAGE.input,
        completion_tokens: USAGE.output,
        total_tokens: USAGE.input + USAGE.output,
        prompt_tokens_details: { cached_tokens: USAGE.cached },
      },
    }),
    'data: [DONE]\n\n',
  ],
  failure: data(chatError),
  errorBody: chatError,
})

const event = (type: string, fields: Fields = {}) => `event: ${type}\n${data({ type, ...fields })}`
const STOP_REASONS = { stop: 'end_turn', length: 'max_tokens', tool_calls: 'tool_use' }
const messagesError = { type: 'error', error: { type: 'api_error', message: FAILURE } }

export const anthropic = fromUpstream('anthropic', '', {
  start: [
    event('message_start', {
      message: {
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        model: 'model-2025',
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { input_tokens: USAGE.input - USAGE.cached, cache_read_input_tokens: USAGE.cached, output_tokens: 1 },
      },
    }),
    event('ping'),
  ],
  pieces: ({ reasoning = [], text = [] }) => [
    ...block(0, { type: 'thinking', thinking: '', signature: '' }, reasoning, 'thinking_delta', 'thinking'),
    ...block(Math.sign(reasoning.length), { type: 'text', text: '' }, text, 'text_delta', 'text'),
  ],
  end: ({ reasoning = [], text = [], calls = [], finish = 'stop' }) => [
    ...calls.flatMap(({ id, name, arguments: pieces }, i) => {
      const index = Math.sign(reasoning.length) + Math.sign(text.length) + i
      return block(index, { type: 'tool_use', id, name, input: {} }, pieces, 'input_json_delta', 'partial_json')
    }),
    event('message_delta', {
      delta: { stop_reason: STOP_REASONS[finish], stop_sequence: null },
      usage: { output_tokens: USAGE.output },
    }),
    event('message_stop'),
  ],
  failure: event('error', messagesError),
  errorBody: messagesError,
})

/** A block, in as many frames as it has pieces. */
function block(index: number, content_block: Fields, pieces: string[], type: string, field: string): string[] {
  const frames = pieces.map((piece) => event('content_block_delta', { index, delta: { type, [field]: piece } }))
  if (frames.length > 0) {
    frames[0] = event('content_block_start', { index, content_block }) + frames[0]
    frames.push(frames.pop() + event('content_block_stop', { index }))
  }
  return frames
}
