import type { ServerResponse } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { answers, says, USAGE, type Completion } from './openai-upstream.ts'
import { startGateway } from './gateway.ts'
import { startUpstream, type Answer, type Upstream } from './upstream.ts'

// A model that does what the conversation says, for programs whose conversations no recording foresees. Lines `CALL name {"json": 1}` of the
// user are calls, one for each turn; then a line `SAY text`, or without one the last result, is the answer. After a line `WAIT` it says nothing.

type Fields = Record<string, unknown>

const STREAM = { 'content-type': 'text/event-stream; charset=utf-8' }

export interface Call {
  name: string
  json: string
}

/** What it does next. */
export type Move = { call: Call; turn: number } | { text: string } | 'wait'

/** Conversations of both wires: a result is a message of a tool, or a block of the user. */
export function nextMove({ messages }: Fields): Move {
  let [calls, say, results]: [Call[], string | undefined, string[]] = [[], undefined, []]
  for (const { role, content } of messages as Fields[]) {
    if (role === 'tool') results.push(textOf(content))
    else if (role === 'user') {
      const blocks = Array.isArray(content) ? (content as Fields[]) : []
      results.push(...blocks.filter(({ type }) => type === 'tool_result').map((block) => textOf(block.content)))
      const lines = textOf(content).split('\n')
      if (lines.includes('WAIT')) return 'wait'
      const said = lines.find((line) => line.startsWith('SAY '))?.slice(4)
      const called = lines.flatMap(callOf)
      if (said === undefined && called.length === 0) continue
      ;[calls, say, results] = [called, said, []]
    }
  }
  const call = calls[results.length]
  return call ? { call, turn: results.length } : { text: say ?? results.at(-1) ?? 'Nothing was asked.' }
}

function callOf(line: string): Call | [] {
  const [, name, json] = /^CALL (\S+) (.*)$/.exec(line) ?? []
  return name && json ? { name, json } : []
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return (content as Fields[]).map(({ text }) => (typeof text === 'string' ? text : '')).join('\n')
}

/** Its text in pieces. */
const pieces = (text: string): string[] => text.match(/.{1,5}/gsu) ?? []

export const openai: Answer = (response, request) => {
  const move = nextMove(request.body)
  if (move === 'wait') response.writeHead(200, STREAM).flushHeaders()
  else return answers(completion(move))(response, request)
}

function completion(move: Exclude<Move, 'wait'>): Completion {
  if ('text' in move) return says(pieces(move.text))
  const { name, json } = move.call
  const id = `call_${move.turn}`
  const deltas = [
    { role: 'assistant', content: null, refusal: null },
    { tool_calls: [{ index: 0, id, type: 'function', function: { name, arguments: '' } }] },
    ...pieces(json).map((piece) => ({ tool_calls: [{ index: 0, function: { arguments: piece } }] })),
  ]
  const call = { id, type: 'function', function: { name, arguments: json } }
  const message = { role: 'assistant', content: null, tool_calls: [call], refusal: null }
  return { choices: [{ deltas, message, finish_reason: 'tool_calls' }], usage: USAGE }
}

export const anthropic: Answer = async (response, { body }) => {
  const move = nextMove(body)
  response.writeHead(200, STREAM).flushHeaders()
  if (move === 'wait') return
  for (const event of events(move, String(body.model))) {
    write(response, event)
    await nextTurn()
  }
  response.end()
}

function* events(move: Exclude<Move, 'wait'>, model: string): Generator<Fields> {
  const usage = { input_tokens: 19, output_tokens: 10 }
  const message = { id: 'msg_1', type: 'message', role: 'assistant', model, content: [], stop_reason: null, usage }
  yield { type: 'message_start', message: { ...message, stop_sequence: null } }
  const index = 0
  if ('text' in move) {
    yield { type: 'content_block_start', index, content_block: { type: 'text', text: '' } }
    for (const text of pieces(move.text))
      yield { type: 'content_block_delta', index, delta: { type: 'text_delta', text } }
  } else {
    const { name, json } = move.call
    const id = `toolu_${move.turn}`
    yield { type: 'content_block_start', index, content_block: { type: 'tool_use', id, name, input: {} } }
    for (const partial_json of pieces(json))
      yield { type: 'content_block_delta', index, delta: { type: 'input_json_delta', partial_json } }
  }
  yield { type: 'content_block_stop', index }
  const stop_reason = 'text' in move ? 'end_turn' : 'tool_use'
  yield { type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 10 } }
  yield { type: 'message_stop' }
}

function write(response: ServerResponse, event: Fields): void {
  response.write(`event: ${String(event.type)}\ndata: ${JSON.stringify(event)}\n\n`)
}

/** A gateway to it, by these names, behind a server of each wire. */
export async function startModels(names: { openai: string[]; anthropic: string[] }) {
  const upstreams: Record<keyof typeof names, Upstream> = {
    openai: await startUpstream(openai),
    anthropic: await startUpstream(anthropic),
  }
  const models = Object.entries(names).flatMap(([wire, all]) =>
    all.map((name) => [name, { target: `${wire}/${name}`, retries: 0 }] as const),
  )
  const settings = { headers: {}, apiKey: 'upstream-key' }
  const gateway = await startGateway({
    providers: {
      openai: { type: 'openai', baseUrl: `${upstreams.openai.url}/v1`, includeUsage: true, ...settings },
      anthropic: { type: 'anthropic', baseUrl: upstreams.anthropic.url, maxTokens: 4096, ...settings },
    },
    models: Object.fromEntries(models),
  })
  return { gateway, upstreams }
}
