import {
  createClient,
  SluiceClientError,
  type Activity,
  type ChatBody,
  type ChatStream,
} from '../../src/client/index.ts'

/** A stream to start, said in JSON so that a page or a worker can be told. */
export type StreamRequest = (
  | { chat: ChatBody; options?: { idempotencyKey: string } }
  | { attach: string; options?: { after: number } }
) & {
  /** The wait before each new attempt; the client's own backoff by default. */
  backoffMs?: number
  heartbeatMs?: number
  maxAttempts?: number
}

/** What a reader has got of a stream, when it has ended for it. */
export interface Outcome {
  /** Undefined when it ended before it had one. */
  id: string | undefined
  text: string
  seqs: number[]
  ended: { as: 'well'; finish_reason: string } | { as: 'failed'; error: ErrorFields }
  /** `text`, `textStream` and `final` tell the same story as the loop. */
  agreed: boolean
}

export interface ErrorFields {
  name: string
  code?: string | undefined
  status?: number | undefined
  retryable?: boolean | undefined
}

/** Reads streams in the runtime it is loaded in, each known by a number. */
export interface StreamDriver {
  start(run: number, request: StreamRequest): Promise<void>
  abort(run: number): Promise<void>
  outcome(run: number): Promise<Outcome>
}

export type ReportActivity = (run: number, activity: Activity) => void

export function createDriver(baseUrl: string, report: ReportActivity): StreamDriver {
  const runs = new Map<number, { leave: AbortController; outcome: Promise<Outcome> }>()
  const get = (run: number) => {
    const found = runs.get(run)
    if (!found) throw new Error(`There is no run ${run}.`)
    return found
  }
  return {
    async start(run, { backoffMs, heartbeatMs = 15_000, maxAttempts = 12, ...target }) {
      const backoff = backoffMs === undefined ? {} : { backoff: () => backoffMs }
      const client = createClient({ baseUrl, heartbeatMs, maxAttempts, ...backoff })
      const leave = new AbortController()
      const options = {
        signal: leave.signal,
        onActivity: (activity: Activity) =>
          report(run, 'error' in activity ? { ...activity, error: fieldsOf(activity.error) } : activity),
      }
      const stream =
        'chat' in target
          ? client.chat(target.chat, { ...options, ...target.options })
          : client.attach(target.attach, { ...options, ...target.options })
      runs.set(run, { leave, outcome: read(stream) })
    },
    async abort(run) {
      get(run).leave.abort()
    },
    outcome: (run) => get(run).outcome,
  }
}

async function read(stream: ChatStream): Promise<Outcome> {
  const ownId = stream.id.catch(() => undefined)
  const others = Promise.allSettled([stream.text(), readText(stream), stream.final()])
  const seqs: number[] = []
  let text = ''
  try {
    for await (const event of stream) {
      seqs.push(event.seq)
      if (event.type === 'delta') text += event.content ?? ''
    }
  } catch (error) {
    const agreed = (await others).every((other) => other.status === 'rejected' && other.reason === error)
    return { id: await ownId, text, seqs, ended: { as: 'failed', error: fieldsOf(error) }, agreed }
  }
  const [whole, streamed, { finish_reason, message }] = await Promise.all([
    stream.text(),
    readText(stream),
    stream.final(),
  ])
  const agreed = whole === text && streamed === text && (message.content ?? '') === text
  return { id: await ownId, text, seqs, ended: { as: 'well', finish_reason }, agreed }
}

async function readText({ textStream }: ChatStream): Promise<string> {
  const reader = textStream.getReader()
  for (let text = ''; ;) {
    const { done, value = '' } = await reader.read()
    if (done) return text
    text += value
  }
}

function fieldsOf(error: unknown): ErrorFields {
  if (error instanceof SluiceClientError) {
    const { name, code, status, retryable } = error
    return { name, code, status, retryable }
  }
  return { name: error instanceof Error ? error.name : typeof error }
}
