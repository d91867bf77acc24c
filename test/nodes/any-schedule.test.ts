import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { splitLongText } from '../../src/stream/delta-text.ts'
import type { StreamEvent } from '../../src/stream/events.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { shareMemory, shareRedis } from '../support/nodes.ts'
import { findProgram } from '../support/programs.ts'
import { open, resume, type Reader } from '../support/reader.ts'
import { ScriptedProvider, type Run } from '../support/scripted-provider.ts'
import { textsOf, PROTOCOL_READERS, type ReaderProtocol } from '../support/protocol-readers.ts'

/** How the stream ends; `cancel` is asked of a node. */
type End = { by: 'done' | 'failure' | 'silence' } | { by: 'cancel'; node: number }

/** What can happen to a stream and its readers; `reader` picks one of those that are there. */
type Step =
  | { do: 'yield'; kind: 'text' | 'thought' | 'call'; sizes: number[] }
  | { do: 'join'; node: number; protocol: ReaderProtocol; percent: number; byKey: boolean }
  | { do: 'resume'; reader: number; node: number; byKey: boolean }
  | { do: 'cut' | 'stall' | 'read'; reader: number }
  | { do: 'look'; node: number }
  | { do: 'wait' }

interface Schedule {
  owner: number
  protocol: ReaderProtocol
  steps: Step[]
  end: End
  /** What readers do once the end was asked for, and may be anywhere between the nodes. */
  after: Step[]
}

const NODES = 3

const reader = fc.nat(20)
const node = fc.nat(NODES - 1)
const anyProtocol = fc.constantFrom<ReaderProtocol[]>('native', 'native', 'openai-chat', 'responses')
const byKey = fc.boolean()
const percent = fc.integer({ min: 0, max: 100 })

/** Mostly words; now and then enough to fill a socket. */
const size = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: 1, max: 12 }) },
  { weight: 1, arbitrary: fc.constant(200_000) },
)

const yields: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('yield'),
  kind: fc.constantFrom('text', 'text', 'thought', 'call'),
  sizes: fc.array(size, { minLength: 1, maxLength: 8 }),
})
const moves: { weight: number; arbitrary: fc.Arbitrary<Step> }[] = [
  { weight: 2, arbitrary: fc.record({ do: fc.constant('join'), node, protocol: anyProtocol, percent, byKey }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('resume'), reader, node, byKey }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('cut', 'cut', 'stall', 'read'), reader }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('look'), node }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait') }) },
]

const schedules: fc.Arbitrary<Schedule> = fc.record({
  owner: node,
  protocol: anyProtocol,
  steps: fc.array(fc.oneof({ weight: 5, arbitrary: yields }, ...moves), { minLength: 5, maxLength: 30 }),
  end: fc.oneof(
    fc.record({ by: fc.constantFrom('done', 'done', 'failure', 'silence') }),
    fc.record({ by: fc.constant('cancel'), node }),
  ),
  after: fc.array(fc.oneof(...moves), { maxLength: 6 }),
})

/** The events that the provider yields, and the texts that a reader has after each. */
class Script {
  readonly events: StreamEvent[] = []
  /** By the number of events. */
  readonly #texts = ['']
  #calls = 0

  yield(run: Run, kind: 'text' | 'thought' | 'call', sizes: number[]): void {
    const contents = sizes.map((length, i) => `${kind} ${this.events.length + i}:`.padEnd(length, 'é☂x'))
    const added = this.#eventsOf(kind, contents)
    for (const event of added) {
      // A long text becomes several events.
      const parts = splitLongText(event)
      this.events.push(...parts)
      for (const part of parts) this.#texts.push(this.#texts.at(-1) + textsOf(part))
    }
    run.yield(...added)
  }

  /** What a reader has after so many events. */
  text(events = this.events.length): string {
    const text = this.#texts[events]
    if (text === undefined) throw new Error(`Nothing has yielded ${events} events`)
    return text
  }

  #eventsOf(kind: 'text' | 'thought' | 'call', contents: string[]) {
    if (kind === 'text') return contents.map((content) => ({ type: 'delta' as const, content }))
    if (kind === 'thought') return contents.map((reasoning) => ({ type: 'delta' as const, reasoning }))
    const index = this.#calls++
    const head = { index, id: `call_${index}`, type: 'function' as const, function: { name: 'f', arguments: '' } }
    const rest = contents.map((text) => ({ index, function: { arguments: text } }))
    return [head, ...rest].map((call) => ({ type: 'delta' as const, tool_calls: [call] }))
  }
}

/** One who reads, leaves and comes back elsewhere: several connections, one text. */
class Wanderer {
  readonly protocol: ReaderProtocol
  /** The number of events that it did not want. */
  readonly from: number
  readonly connections: Reader[] = []
  isThere = false

  constructor(protocol: ReaderProtocol, from = 0) {
    this.protocol = protocol
    this.from = from
  }

  get messages() {
    return this.connections.flatMap(({ messages }) => messages)
  }

  get ids(): number[] {
    return this.messages.filter(({ id }) => id !== undefined).map(({ id }) => Number(id))
  }

  get cursor(): number {
    return this.ids.at(-1) ?? this.from
  }

  get current(): Reader | undefined {
    return this.isThere ? this.connections.at(-1) : undefined
  }

  leave(): void {
    this.current?.cut()
    this.isThere = false
  }

  come(connection: Reader): this {
    this.connections.push(connection)
    this.isThere = true
    return this
  }

  /** Each id, with the texts up to it. */
  progress(): [id: number, text: string][] {
    const { said } = PROTOCOL_READERS[this.protocol]
    let text = ''
    return this.messages.flatMap((message) => {
      text += said(message)
      return message.id === undefined ? [] : [[Number(message.id), text]]
    })
  }

  /** The frames at the end. */
  get ends(): string[] {
    return this.messages.filter(PROTOCOL_READERS[this.protocol].isEnd).map(({ data }) => data)
  }
}

interface Snapshot {
  status: string
  last_event_id: number
  message: { content: string | null; reasoning?: string; tool_calls?: { function: { arguments: string } }[] }
}

/** One stream on several nodes, while a schedule happens to it. */
class Play {
  readonly script = new Script()
  readonly wanderers: Wanderer[] = []
  readonly #gateways: readonly TestGateway[]
  readonly #schedule: Schedule
  readonly #headers = { 'idempotency-key': `k${Math.random()}` }
  #id = ''
  #isOver = false

  constructor(gateways: readonly TestGateway[], schedule: Schedule) {
    this.#gateways = gateways
    this.#schedule = schedule
  }

  async run(provider: ScriptedProvider): Promise<void> {
    const { owner, protocol, steps, end, after } = this.#schedule
    const first = await PROTOCOL_READERS[protocol].create(this.#url(owner), { model: 'scripted' }, this.#headers)
    this.#id = first.id
    this.wanderers.push(new Wanderer(protocol).come(first))
    const run = await provider.nextRun()
    // A stream that fails before its first event is an error response.
    this.script.yield(run, 'text', [4])
    await first.until(({ body }) => body.includes('text 0'))
    for (const step of steps) await this.#do(step, run)
    await this.#end(end, run)
    for (const step of after) await this.#do(step, run)
    for (const wanderer of this.wanderers) {
      wanderer.current?.resume()
      if (!wanderer.isThere) wanderer.come(await this.#read(wanderer, owner, false))
      await wanderer.current?.end()
    }
    for (let each = 0; each < NODES; each++) {
      const whole = new Wanderer('native').come(await resume(this.#url(each), this.#id))
      await whole.current?.end()
      this.wanderers.push(whole)
    }
  }

  /** That of every node, at the end. */
  async snapshots(): Promise<Snapshot[]> {
    return Promise.all(this.#gateways.map((_, each) => this.#look(each)))
  }

  async #do(step: Step, run: Run): Promise<void> {
    const chosen = 'reader' in step ? this.wanderers[step.reader % this.wanderers.length]! : undefined
    switch (step.do) {
      case 'yield':
        return this.script.yield(run, step.kind, step.sizes)
      case 'join': {
        // The ids of Responses are other ones than those of the rest.
        const [creator] = this.wanderers
        const from =
          step.protocol === 'responses' || creator!.protocol === 'responses'
            ? 0
            : Math.floor((step.percent / 100) * creator!.cursor)
        const joining = new Wanderer(step.protocol, from)
        joining.come(await this.#read(joining, step.node, step.byKey))
        this.wanderers.push(joining)
        return
      }
      case 'resume':
        if (!chosen!.isThere) chosen!.come(await this.#read(chosen!, step.node, step.byKey))
        return
      case 'cut':
        return chosen!.leave()
      case 'stall':
        return chosen!.current?.pause()
      case 'read':
        return chosen!.current?.resume()
      case 'look':
        return this.#expectPrefix(await this.#look(step.node))
      case 'wait':
        return new Promise((resolve) => setImmediate(resolve))
    }
  }

  async #end(end: End, run: Run): Promise<void> {
    this.#isOver = true
    switch (end.by) {
      case 'done':
        return run.done()
      case 'silence':
        return run.end()
      case 'failure': {
        const error = { code: 'upstream_error', message: 'The model fell over.', retryable: false }
        return run.yield({ type: 'done', finish_reason: 'error', error })
      }
      case 'cancel': {
        const answer = await open(`${this.#url(end.node)}/v1/streams/${this.#id}`, { method: 'DELETE' })
        expect(answer.status).toBe(204)
        await run.aborted
      }
    }
  }

  /** A key whose stream has ended badly is free for another one. */
  async #read({ protocol, cursor }: Wanderer, each: number, withKey: boolean): Promise<Reader> {
    const isSame = protocol === this.#schedule.protocol
    if (!withKey || !isSame || (this.#isOver && this.#schedule.end.by !== 'done'))
      return PROTOCOL_READERS[protocol].read(this.#url(each), this.#id, cursor)
    const headers = cursor === 0 ? this.#headers : { ...this.#headers, 'last-event-id': String(cursor) }
    return PROTOCOL_READERS[protocol].create(this.#url(each), { model: 'scripted' }, headers)
  }

  async #look(each: number): Promise<Snapshot> {
    const headers = { accept: 'application/json' }
    return (await (await resume(this.#url(each), this.#id, 0, { headers })).end()).json as Snapshot
  }

  #expectPrefix({ status, last_event_id: last, message }: Snapshot): void {
    const events = this.script.events.slice(0, status === 'running' ? last : last - 1)
    const deltas = events.filter((event) => event.type === 'delta')
    expect(message.content ?? '').toBe(deltas.map(({ content = '' }) => content).join(''))
    expect(message.reasoning ?? '').toBe(deltas.map(({ reasoning = '' }) => reasoning).join(''))
    const calls = deltas.flatMap(({ tool_calls: parts = [] }) => parts).map((part) => part.function?.arguments ?? '')
    expect((message.tool_calls ?? []).map((call) => call.function.arguments).join('')).toBe(calls.join(''))
  }

  #url(each: number): string {
    return this.#gateways[each]!.url
  }
}

function expectOneStream({ wanderers, script }: Play, last: number): void {
  const ends = new Map<ReaderProtocol, string[]>()
  const atId = new Map<number, string>()
  for (const wanderer of wanderers) {
    const { ids, protocol, from } = wanderer
    expect(ids).toEqual([...new Set(ids)].toSorted((a, b) => a - b))
    const progress = wanderer.progress()
    for (const [id, text] of progress) {
      // The ids of Responses tell more than the number of events: the first reader of one says what it has.
      const expected = protocol === 'responses' ? (atId.get(id) ?? text) : script.text(Math.min(id, last - 1))
      if (protocol === 'responses') atId.set(id, text)
      if (script.text(from) + text !== expected) expect(`${id}: ${script.text(from)}${text}`).toBe(`${id}: ${expected}`)
    }
    if (protocol !== 'responses') expect(ids.at(-1)).toBe(last)
    expect(script.text(from) + (progress.at(-1)?.[1] ?? '') === script.text(last - 1)).toBe(true)
    expect(wanderer.messages.filter(PROTOCOL_READERS[protocol].isEnd)).toHaveLength(1)
    ends.set(protocol, [...(ends.get(protocol) ?? []), ...wanderer.ends])
  }
  for (const each of ends.values()) expect(new Set(each).size).toBe(1)
}

const BACKENDS = [
  ['memory', shareMemory, 12],
  ['redis', shareRedis, 8],
] as const

const backends = BACKENDS.filter(([name]) => name === 'memory' || findProgram('redis'))

describe.each(backends)('over three nodes with %s, any schedule of a stream and its readers', (_, share, numRuns) => {
  it('gives every reader exactly the log, wherever it reads: nothing is lost or repeated, and one end comes last', async () => {
    const windows = { resumeWindowMs: 600_000, sdkResumeWindowMs: 600_000, sdkStatusWaitMs: 0 }
    // Streams fail on purpose: the provider is not to be left alone for it.
    const breaker = { ...loadConfig().breaker, failures: 1_000_000 }
    const settings = { streamMaxBytes: 64 * 1024 ** 2, breaker, ...windows }
    const shared = share(settings)
    const provider = new ScriptedProvider()
    const gateways: TestGateway[] = []
    while (gateways.length < NODES)
      gateways.push(await startGateway(settings, { backplane: await shared.connect(), providers: [provider] }))
    let streams = 0
    await fc.assert(
      fc.asyncProperty(schedules, async (each) => {
        streams += 1
        const play = new Play(gateways, each)
        await play.run(provider)
        const snapshots = await play.snapshots()
        expectOneStream(play, snapshots[0]!.last_event_id)
        expect(snapshots).toEqual(snapshots.map(() => snapshots[0]))
        // No key has started a second one.
        expect(provider.runs).toHaveLength(streams)
      }),
      { numRuns },
    )
  })
})
