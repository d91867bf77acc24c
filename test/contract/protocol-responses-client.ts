import type { EventSourceMessage } from 'eventsource-parser'
import { expectThat, nothingSaid, toText, type Fields, type ProtocolClient, type Said } from './protocol-client.ts'

export const openaiResponses: ProtocolClient = {
  name: 'openai-responses',
  path: '/v1/responses',
  request: (stream) => ({ headers: {}, body: { input: 'Hi!', ...(stream && { stream }) } }),
  listen(frames) {
    const listener = new Listener()
    for (const frame of frames) listener.hear(frame)
    return listener.said
  },
  read: readResponse,
  readError({ error }) {
    const { message, type, code, param } = error as Fields
    expectThat(typeof type === 'string' && code !== undefined, 'no OpenAI error')
    return { message: toText(message), field: toText(param) || undefined }
  },
}

/** Puts a stream together, and insists that each item begins once, grows in its place, and ends as what it has become. */
class Listener {
  readonly #items: Fields[] = []
  readonly #ended = new Set<number>()
  #number = 0
  #begun = false
  #failed = false
  #said: Said | undefined

  get said(): Said {
    return this.#said ?? { ...nothingSaid(), ...readItems(this.#items) }
  }

  hear({ event, data, id }: EventSourceMessage): void {
    const fields = JSON.parse(data) as Fields & { type: string }
    const { type, sequence_number: number, response } = fields
    expectThat(event === type, 'an event that is not named as its type')
    expectThat(typeof number === 'number' && number > this.#number && String(number) === id, 'numbers that do not rise')
    expectThat(!('obfuscation' in fields), 'padding')
    this.#number = number
    if (type === 'error') {
      expectThat(this.#failed, 'an error without a failed response')
      this.#said = { ...this.said, error: toText(fields.message) }
      return
    }
    expectThat(this.#said === undefined && !this.#failed, `${type} after the end`)
    if (type === 'response.created') {
      expectThat(!this.#begun, 'a second beginning')
      this.#begun = true
    } else expectThat(this.#begun, `${type} before the beginning`)
    if (type === 'response.failed') this.#failed = true
    else if (type === 'response.completed' || type === 'response.incomplete') {
      expectThat(type === 'response.incomplete' || this.#ended.size === this.#items.length, 'an item without an end')
      const said = readResponse(response as Fields)
      const heard = readItems(this.#items)
      expectThat(JSON.stringify({ ...said, ...heard }) === JSON.stringify(said), 'a response other than its events')
      this.#said = said
    } else this.#hearItem(type, fields)
  }

  #hearItem(type: string, { output_index, delta, item, part, ...fields }: Fields): void {
    if (type === 'response.created' || type === 'response.in_progress') return
    const index = Number(output_index)
    if (type === 'response.output_item.added') {
      expectThat(index === this.#items.length, 'an item out of order')
      this.#items.push(structuredClone(item as Fields))
      return
    }
    const open = this.#items[index]
    expectThat(open !== undefined && !this.#ended.has(index), `${type} of an item that is not open`)
    if (type === 'response.output_item.done') {
      expectThat(JSON.stringify(toTexts(open)) === JSON.stringify(toTexts(item as Fields)), 'an end unlike its deltas')
      this.#items[index] = item as Fields
      this.#ended.add(index)
      return
    }
    expectThat(fields.item_id === open.id, 'an event of another item')
    const parts = (open.type === 'reasoning' ? open.summary : open.content) as Fields[]
    if (type.endsWith('part.added')) parts.push(structuredClone(part as Fields))
    else if (type.endsWith('.delta')) {
      const grown = parts?.[0] ?? open
      const field = ['text', 'refusal', 'arguments', 'input'].find((name) => name in grown) ?? ''
      grown[field] = toText(grown[field]) + toText(delta)
    }
  }
}

/** What an item says in words, whatever else is in it. */
function toTexts({ content, summary, arguments: json, input }: Fields): unknown {
  const texts = (parts: unknown) => ((parts ?? []) as Fields[]).map(({ text, refusal }) => text ?? refusal)
  return [texts(content), texts(summary), json, input]
}

function readItems(items: readonly Fields[]): Pick<Said, 'text' | 'reasoning' | 'calls'> {
  const textOf = (type: string, field: string) =>
    items
      .filter((item) => item.type === type)
      .flatMap((item) => item[field] as Fields[])
      .map(({ text }) => toText(text))
      .join('')
  return {
    text: textOf('message', 'content'),
    reasoning: textOf('reasoning', 'summary'),
    calls: items
      .filter(({ type }) => type === 'function_call')
      .map(({ call_id, name, arguments: json }) => ({
        id: toText(call_id),
        name: toText(name),
        arguments: toText(json),
      })),
  }
}

function readResponse({ output, status, usage, incomplete_details }: Fields): Said {
  const said = readItems(output as Fields[])
  const isCut = (incomplete_details as Fields | null)?.reason === 'max_output_tokens'
  expectThat(isCut === (status === 'incomplete'), `a response that is ${toText(status)}`)
  const { input_tokens: input, input_tokens_details: details, output_tokens } = usage as Record<string, unknown>
  return {
    ...said,
    finish: isCut ? 'length' : said.calls.length > 0 ? 'tool_calls' : 'stop',
    usage: { input: Number(input), cached: Number((details as Fields).cached_tokens), output: Number(output_tokens) },
  }
}
