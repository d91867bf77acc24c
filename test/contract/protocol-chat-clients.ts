import { expectThat, nothingSaid, toText, type Fields, type ProtocolClient, type Said } from './protocol-client.ts'

// The native protocol and OpenAI's, whose words are mostly the same.

const messages = [{ role: 'user', content: 'Hi!' }]

export const native: ProtocolClient = {
  name: 'native',
  path: '/v1/chat',
  request: (stream) => ({ headers: { accept: stream ? 'text/event-stream' : 'application/json' }, body: { messages } }),
  listen(frames) {
    const said = nothingSaid()
    for (const { event, data } of frames) {
      expectThat(said.finish === undefined && said.error === undefined, 'a frame after done')
      expectThat(event === 'delta' || event === 'done', `an event named ${event}`)
      const fields: Fields = JSON.parse(data)
      if (event === 'done') addDone(said, fields)
      else addDelta(said, { ...fields, reasoning_content: fields.reasoning })
    }
    return said
  },
  read({ message, ...end }) {
    const { content, reasoning, tool_calls } = message as Fields
    const said = { text: toText(content), reasoning: toText(reasoning), calls: toCalls(tool_calls) }
    addDone(said, end)
    return said
  },
  readError({ status, code, title, detail, errors }) {
    const isProblem = [status, code, title].every((field) => field !== undefined)
    expectThat(isProblem, 'no problem of RFC 9457')
    return { message: toText(detail), field: (errors as { path: string }[] | undefined)?.[0]?.path }
  },
}

export const openaiChat: ProtocolClient = {
  name: 'openai-chat',
  path: '/v1/chat/completions',
  request: (stream) => ({
    headers: {},
    body: { messages, ...(stream && { stream, stream_options: { include_usage: true } }) },
  }),
  listen(frames) {
    const said = nothingSaid()
    let head: string | undefined
    let finish: Said['finish']
    for (const { event, data } of frames) {
      expectThat(event === undefined, `an event named ${event}`)
      expectThat(said.finish === undefined && said.error === undefined, 'a frame after the end')
      if (data === '[DONE]') {
        expectThat(finish !== undefined, '[DONE] without a finish_reason')
        said.finish = finish
        continue
      }
      const { error, choices = [], usage, ...fields } = JSON.parse(data) as Partial<Chunk>
      if (error) {
        said.error = readChatError(error).message
        continue
      }
      if (usage) said.usage = toUsage(usage)
      for (const { delta, finish_reason } of choices) {
        expectThat(
          delta.role === (head === undefined ? 'assistant' : undefined),
          'a role begins a choice, and only that',
        )
        expectThat(finish === undefined, 'a choice after its finish_reason')
        addDelta(said, delta)
        finish = finish_reason ?? undefined
        head ??= JSON.stringify(fields)
      }
      // An answer that fails before its first token may have a usage, and nothing else.
      const isFirst = head === undefined && usage !== undefined
      expectThat(isFirst || head === JSON.stringify(fields), 'a chunk of another completion')
    }
    return said
  },
  read({ choices, usage }) {
    const [{ message, finish_reason }] = choices as [{ message: Fields; finish_reason: Finish }]
    const { content, reasoning_content, tool_calls } = message
    return {
      text: toText(content),
      reasoning: toText(reasoning_content),
      calls: toCalls(tool_calls),
      finish: finish_reason,
      usage: toUsage(usage as Fields),
    }
  },
  readError: ({ error }) => readChatError(error as Fields),
}

type Finish = NonNullable<Said['finish']>

interface Chunk {
  error: Fields
  choices: { delta: Fields; finish_reason: Finish | null }[]
  usage: Fields | null
}

function readChatError({ message, type, param, code, sluice_code, ...rest }: Fields): {
  message: string
  field?: string
} {
  const isError =
    typeof type === 'string' && typeof (code ?? sluice_code) === 'string' && Object.keys(rest).length === 0
  expectThat(isError, 'no OpenAI error')
  return { message: toText(message), ...(typeof param === 'string' && { field: param }) }
}

interface Call {
  index: number
  id?: string
  function: { name?: string; arguments?: string }
}

function toCalls(calls: unknown): Said['calls'] {
  return ((calls ?? []) as Call[]).map(toCall)
}

function toCall({ id = '', function: { name = '', arguments: json = '' } }: Call): Said['calls'][number] {
  return { id, name, arguments: json }
}

function addDelta(said: Said, { content, reasoning_content, tool_calls }: Fields): void {
  said.text += toText(content)
  said.reasoning += toText(reasoning_content)
  for (const call of (tool_calls ?? []) as Call[]) {
    const known = said.calls[call.index]
    expectThat((known === undefined) === (call.id !== undefined), 'a call begins with its id, and does so once')
    if (known) known.arguments += toText(call.function.arguments)
    else said.calls[call.index] = toCall(call)
  }
}

function addDone(said: Said, { finish_reason, usage, error }: Fields): void {
  if (error) said.error = toText((error as Fields).message)
  else if (finish_reason === 'cancelled') said.error = 'cancelled'
  else said.finish = finish_reason as Finish
  if (usage) said.usage = toUsage(usage as Fields)
}

function toUsage(usage: Fields): NonNullable<Said['usage']> {
  const { prompt_tokens, completion_tokens, prompt_tokens_details: details } = usage
  const { cached_tokens = 0 } = (details ?? {}) as { cached_tokens?: number }
  return { input: Number(prompt_tokens), cached: cached_tokens, output: Number(completion_tokens) }
}
