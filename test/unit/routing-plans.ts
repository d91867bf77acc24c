import type { Provider, ProviderContext } from '../../providers/provider.ts'
import type { ChatRequest } from '../../src/chat-request.ts'
import type { SluiceError } from '../../src/errors.ts'
import { Breaker } from '../../src/routing/breaker.ts'
import { Run, type RunContext, type RunSink } from '../../src/routing/run.ts'
import type { Plan, Target } from '../../src/routing/target.ts'
import type { Done, StreamEvent } from '../../src/stream/events.ts'
import type { Produced } from '../../src/stream/source.ts'
import type { AnsweredBy } from '../../src/stream/stream-log.ts'

export const STOP: Done = { type: 'done', finish_reason: 'stop' }
export const ROLE: StreamEvent = { type: 'delta', role: 'assistant' }

export function text(content: string): StreamEvent {
  return { type: 'delta', content }
}

/** What a provider does next: yields, throws, or does something and waits for it. */
export type Step = Produced | Error | (() => Promise<unknown>)

export interface Played extends Provider {
  requests: ChatRequest[]
  contexts: ProviderContext[]
  /** How many of its runs have been left, by their end or by their reader. */
  left: number
}

/** A provider whose first run plays the first script, and so on; the last one is played again and again. */
export function plays(name: string, ...scripts: Step[][]): Played {
  return {
    name,
    requests: [],
    contexts: [],
    left: 0,
    async *stream(request, context) {
      const script = scripts[Math.min(this.requests.length, scripts.length - 1)]!
      this.requests.push(request)
      this.contexts.push(context)
      try {
        for (const step of script) {
          if (step instanceof Error) throw step
          if (typeof step === 'function') await step()
          else yield step
        }
      } finally {
        this.left += 1
      }
    },
  }
}

/** What a provider does that says nothing more and does not listen. */
export function silence(): Promise<never> {
  return new Promise(() => {})
}

export function targetOf(provider: Provider, more: Partial<Target> = {}): Target {
  return {
    name: `${provider.name}/m`,
    provider,
    model: `${provider.name}-model`,
    options: {},
    keys: [],
    timeouts: {
      connectTimeoutMs: 10_000,
      firstTokenTimeoutMs: 1_000_000,
      idleTimeoutMs: 1_000_000,
      totalTimeoutMs: undefined,
    },
    retries: 2,
    breaker: new Breaker({ failures: 1000, cooldownMs: 1000 }),
    ...more,
  }
}

export function planOf(...targets: [Target, ...Target[]]): Plan {
  return { model: 'public', targets }
}

export interface Ran {
  events: StreamEvent[]
  text: string
  /** What was thrown, if anything was. */
  error: unknown
  answers: AnsweredBy[]
  /** How long it was to wait before each retry, in milliseconds. */
  pauses: number[]
  /** `provider:code` of each attempt. */
  ended: string[]
  /** The largest number of bytes that were held. */
  held: number
  /** `provider:reason` of each retry. */
  retried: string[]
}

/** Runs a plan to its end. Waits are noted and not waited for; randomness is a half. */
export async function run(
  plan: Plan,
  { answeredBy, ...context }: Partial<RunContext & Pick<RunSink, 'answeredBy'>> = {},
): Promise<Ran> {
  const ran: Ran = { events: [], text: '', error: undefined, answers: [], pauses: [], ended: [], held: 0, retried: [] }
  const code = (error: SluiceError | undefined) => error?.code ?? 'ok'
  let ended = () => {}
  const end = new Promise<void>((resolve) => (ended = resolve))
  const sink: RunSink = {
    answeredBy(answer) {
      ran.answers.push(answer)
      answeredBy?.(answer)
    },
    push(events) {
      ran.events.push(...events)
      if (events.at(-1)?.type === 'done') ended()
    },
    alive(_, held) {
      ran.held = Math.max(ran.held, held)
    },
    end(failure) {
      ran.error = failure?.error
      ended()
    },
  }
  const running = new Run(plan, sink, {
    signal: new AbortController().signal,
    streamId: 'str_1',
    observer: {
      started: ({ provider }) => ({
        answered() {},
        ended: (error) => void ran.ended.push(`${provider.name}:${code(error)}`),
      }),
      retried: ({ provider }, reason) => void ran.retried.push(`${provider.name}:${reason}`),
    },
    pause: async (milliseconds) => void ran.pauses.push(milliseconds),
    random: () => 0.5,
    ...context,
  })
  await running.open({ messages: [{ role: 'user', content: 'hi' }] })
  await end
  ran.text = ran.events.map((event) => (event.type === 'delta' ? (event.content ?? '') : '')).join('')
  return ran
}
