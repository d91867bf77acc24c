import { mock } from '../../providers/mock/mock.ts'
import type { ChatRequest, Delta, Done, StreamEvent } from '../../providers/provider.ts'
import { iterate } from '../support/iterate.ts'

type Fields = Partial<ChatRequest> & Record<string, unknown>

/** A request to the mock, with these knobs. */
export function ask(knobs: unknown, fields: Fields = {}): ChatRequest {
  return { model: 'mock', messages: [{ role: 'user', content: 'hi' }], mock: knobs, ...fields }
}

export interface Heard {
  deltas: Delta[]
  done: Done | undefined
  thrown: unknown
  text: string
}

/** What the mock says at full speed, unless the knobs say otherwise. */
export async function listen(knobs: Record<string, unknown>, fields: Fields = {}): Promise<Heard> {
  const events: StreamEvent[] = []
  const context = { signal: new AbortController().signal, streamId: 'str_1', options: {}, connectTimeoutMs: 10_000 }
  let thrown: unknown
  try {
    for await (const yielded of iterate(mock().stream(ask({ interval_ms: 0, ...knobs }, fields), context)))
      events.push(...[yielded].flat())
  } catch (error) {
    thrown = error
  }
  const deltas = events.filter((event) => event.type === 'delta')
  const done = events.find((event) => event.type === 'done')
  return { deltas, done, thrown, text: deltas.map(({ content = '' }) => content).join('') }
}
