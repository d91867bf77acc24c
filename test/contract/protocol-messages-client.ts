import type { EventSourceMessage } from 'eventsource-parser'
import { expectThat, nothingSaid, toText, type Fields, type ProtocolClient, type Said } from './protocol-client.ts'

export const anthropicMessages: ProtocolClient = {
  name: 'anthropic-messages',
  path: '/v1/messages',
  request: (stream) => ({
    headers: { 'anthropic-version': '2023-06-01' },
    body: { messages: [{ role: 'user', content: 'Hi!' }], max_tokens: 1000, ...(stream && { stream }) },
  }),
  listen(frames) {
    const listener = new Listener()
    for (const frame of frames) listener.hear(frame)
    return listener.said
  },
  read: readMessage,
  readError(body) {
    expectThat(typeof body.request_id === 'string', 'no request_id')
    const message = readError(body)
    return { message, field: /(?:^|: )([\w.[\]]+): /.exec(message)?.[1] }
  },
}

interface Block extends Fields {
  type: string
  /** The input of a call, as far as it has come. */
  json: string
}

/** Puts a stream together, and insists on the order that the API promises. */
class Listener {
  readonly #blocks: Block[] = []
  #message: Fields | undefined
  #open: number | undefined
  #ended: Partial<Said> | undefined

  get said(): Said {
    return { ...nothingSaid(), ...readBlocks(this.#blocks), ...this.#ended }
  }

  hear({ event, data }: EventSourceMessage): void {
    const fields: Fields = JSON.parse(data)
    expectThat(event === fields.type, 'an event that is not named as its type')
    expectThat(this.#ended === undefined, 'a frame after the end')
    if (event === 'ping') return
    if (event === 'error') this.#ended = { error: readError(fields) }
    else if (event === 'message_start') {
      expectThat(this.#message === undefined, 'two starts')
      this.#message = fields.message as Fields
    } else this.#hearMore(event, fields, this.#message)
  }

  #hearMore(event: string | undefined, { index, ...fields }: Fields, message: Fields | undefined): void {
    expectThat(message !== undefined, `${event} before message_start`)
    switch (event ?? '') {
      case 'content_block_start':
        expectThat(this.#open === undefined && index === this.#blocks.length, 'a block that begins within another')
        this.#open = this.#blocks.push({ ...(fields.content_block as Block), json: '' }) - 1
        return
      case 'content_block_delta':
        expectThat(index === this.#open, 'a delta of a block that is not open')
        addDelta(this.#blocks.at(-1)!, fields.delta as Fields)
        return
      case 'content_block_stop':
        expectThat(index === this.#open, 'the end of a block that is not open')
        this.#open = undefined
        return
      case 'message_delta':
        this.#message = { ...message, ...(fields.delta as Fields), usage: fields.usage }
        return
      case 'message_stop': {
        expectThat(this.#open === undefined, 'an end with an open block')
        const { finish, usage } = readMessage(message)
        this.#ended = { ...(finish && { finish }), ...(usage && { usage }) }
        return
      }
      default:
        throw new Error(`an event named ${event}`)
    }
  }
}

function addDelta(block: Block, { type: _, partial_json: json, ...more }: Fields): void {
  for (const [name, piece] of Object.entries({ json, ...more })) block[name] = toText(block[name]) + toText(piece)
}

function readError({ type, error }: Fields): string {
  const { type: kind, message } = error as Fields
  expectThat(type === 'error' && typeof kind === 'string', 'no Anthropic error')
  return toText(message)
}

const FINISHES: Record<string, NonNullable<Said['finish']>> = {
  end_turn: 'stop',
  max_tokens: 'length',
  tool_use: 'tool_calls',
}

function readMessage({ content, stop_reason, usage }: Fields): Said {
  const { input_tokens, cache_read_input_tokens: cached = 0, output_tokens } = usage as Record<string, number>
  const finish = FINISHES[toText(stop_reason)]
  return {
    ...readBlocks((content as Block[]).map((block) => ({ ...block, json: JSON.stringify(block.input) }))),
    ...(finish && { finish }),
    usage: { input: Number(input_tokens) + cached, cached, output: Number(output_tokens) },
  }
}

function readBlocks(blocks: readonly Block[]): Pick<Said, 'text' | 'reasoning' | 'calls'> {
  const joined = (kind: string) => blocks.map((block) => (block.type === kind ? toText(block[kind]) : '')).join('')
  const calls = blocks.filter(({ type }) => type === 'tool_use')
  return {
    text: joined('text'),
    reasoning: joined('thinking'),
    calls: calls.map(({ id, name, json }) => ({ id: toText(id), name: toText(name), arguments: json })),
  }
}
