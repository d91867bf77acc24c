import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { splitLongText } from '../../src/stream/delta-text.ts'
import { startGateway } from '../support/gateway.ts'
import { chat, resume, type Reader } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

/** What can happen to a stream and its readers; `reader` picks one of those that are there. */
type Step =
  | { do: 'append'; sizes: number[] }
  | { do: 'join'; at: number }
  | { do: 'cut' | 'resume' | 'stall' | 'read'; reader: number }
  | { do: 'wait' }

const reader = fc.nat(20)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('append'), sizes: fc.array(tokenSize(), { minLength: 1, maxLength: 8 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('join'), at: fc.double({ min: 0, max: 1, noNaN: true }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('cut', 'resume', 'stall', 'read'), reader }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait') }) },
)

/** Mostly words; now and then enough to fill a socket. */
function tokenSize(): fc.Arbitrary<number> {
  return fc.oneof(
    { weight: 20, arbitrary: fc.integer({ min: 1, max: 12 }) },
    { weight: 1, arbitrary: fc.constant(400_000) },
  )
}

/** One who reads, leaves and comes back: several connections, one text. */
class Wanderer {
  readonly from: number
  readonly past: Reader[] = []
  current: Reader | undefined

  constructor(from: number, current: Reader) {
    this.from = from
    this.current = current
  }

  get connections(): Reader[] {
    return this.current ? [...this.past, this.current] : this.past
  }

  get cursor(): number {
    return this.connections.flatMap(({ ids }) => ids).at(-1) ?? this.from
  }

  leave(): void {
    if (!this.current) return
    this.current.cut()
    this.past.push(this.current)
    this.current = undefined
  }
}

describe('any schedule of appends, joins, cuts, resumes and stalls', () => {
  it('gives every reader exactly the log: ids rise, nothing is lost or repeated, one done comes last', async () => {
    const provider = new ScriptedProvider()
    const { url, services } = await startGateway(
      { streamMaxBytes: 64 * 1024 ** 2, resumeWindowMs: 600_000 },
      { providers: [provider] },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const first = await chat(url, { model: 'scripted' })
        const run = await provider.nextRun()
        const found = await services.store.find(first.id, 'anonymous')
        if (found.status !== 'found') throw new Error(found.status)
        const { log } = found
        const texts: string[] = []
        const wanderers = [new Wanderer(0, first)]

        for (const each of steps) {
          const chosen = 'reader' in each ? wanderers[each.reader % wanderers.length]! : undefined
          switch (each.do) {
            case 'append': {
              const added = each.sizes.map((size, i) => `${texts.length + i}:`.padEnd(size, 'é☂x'))
              // A long text becomes several events.
              for (const content of added)
                texts.push(...splitLongText({ type: 'delta', content }).map((part) => part.content ?? ''))
              run.text(...added)
              break
            }
            case 'join': {
              const from = Math.floor(each.at * log.last)
              wanderers.push(new Wanderer(from, await resume(url, first.id, from)))
              break
            }
            case 'cut':
              chosen!.leave()
              break
            case 'resume':
              if (!chosen!.current) chosen!.current = await resume(url, first.id, chosen!.cursor)
              break
            case 'stall':
              chosen!.current?.pause()
              break
            case 'read':
              chosen!.current?.resume()
              break
            case 'wait':
              await new Promise((resolve) => setImmediate(resolve))
          }
        }

        run.done()
        for (const wanderer of wanderers) {
          wanderer.current?.resume()
          wanderer.current ??= await resume(url, first.id, wanderer.cursor)
          await wanderer.current.end()
        }
        for (const wanderer of wanderers) {
          const messages = wanderer.connections.flatMap((connection) => connection.messages)
          const ids = messages.map(({ id }) => Number(id))
          expect(ids).toEqual([...new Set(ids)].toSorted((a, b) => a - b))
          expect(wanderer.connections.map(({ text }) => text).join('')).toBe(texts.slice(wanderer.from).join(''))
          expect(messages.map(({ event }) => event).indexOf('done')).toBe(messages.length - 1)
          expect(ids.at(-1)).toBe(texts.length + 1)
        }
      }),
      { numRuns: 60 },
    )
  })
})
