import { describe, expect, it } from 'vitest'
import type { Attack, Scale } from './attack.ts'
import { ask, startHostileUpstream, startTarget, type Target } from './target.ts'
import { Witness, type Testimony } from './witness.ts'

/** `npm run test:hostile` runs attacks in full, and also checks how long others wait. */
export const SCALE: Scale = process.env.HOSTILE === 'full' ? 'full' : 'quick'

/** Limits for one turn of the event loop, in seconds, and for the median gap between reads of an honest stream. */
const LONGEST_TURN = 0.1
const MEDIAN_GAP_MS = 100

const TOKENS = 40

async function startFor({ env, upstream }: Attack) {
  if (!upstream) return startTarget(env)
  const port = await startHostileUpstream((socket) => upstream(socket, SCALE))
  const keys = { OPENAI_API_KEY: 'x', ANTHROPIC_API_KEY: 'x' }
  const urls = { OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1`, ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}` }
  return startTarget({ ...env, ...keys, ...urls })
}

/** The testimony without an attack; the mock always sends the same text. */
let calm: Promise<Testimony> | undefined

/** Upper bound of the longest turn of the event loop, in seconds: that of the last non-empty bucket. */
export function longestTurn(metrics: string): string {
  const buckets = [...metrics.matchAll(/^sluice_event_loop_delay_seconds_bucket\{le="([^"]+)"\} (\d+)$/gm)]
  const total = buckets.at(-1)?.[2]
  return buckets.find(([, , count]) => count === total)?.[1] ?? '?'
}

export interface Bounds {
  /** Growth of the resident memory since `before`, in MB. */
  memory: number
  before: number
  /** Seconds. */
  turn?: number | undefined
}

/** The gateway runs, reported no bug, and held to its bounds; times are checked in the full suite only. */
export async function expectUnharmed(target: Target, { memory, before, turn = LONGEST_TURN }: Bounds): Promise<void> {
  expect(target.ended).toBeUndefined()
  expect(target.output()).not.toMatch(/"level":"(error|fatal)"|Warning|UnhandledPromise/)
  expect(target.peak() - before).toBeLessThan(memory)
  const longest = longestTurn((await ask(target, '/metrics')).body)
  if (SCALE === 'full') expect(Number(longest)).toBeLessThanOrEqual(turn)
}

/** Runs each attack on its own gateway, beside an honest caller. */
export function describeAttacks(whose: string, attacks: readonly Attack[]): void {
  describe(`attacks by ${whose}`, () => {
    it.each(attacks.filter(({ only = SCALE }) => only === SCALE))(
      '$name: the gateway survives, and other callers lose nothing',
      async (attack) => {
        const target = await startFor(attack)
        const idle = await (calm ??= new Witness(target, TOKENS).leave())
        const before = target.rss()
        const witness = new Witness(target, TOKENS)
        await attack.run(target, SCALE)
        const seen = await witness.leave()
        expect(seen).toMatchObject({ complete: true, text: idle.text, failures: 0 })
        const turn = longestTurn((await ask(target, '/metrics')).body)
        await expectUnharmed(target, { memory: attack.memory, before, turn: attack.longestTurn })
        if (SCALE === 'quick') return
        console.log(
          `${attack.name}: RSS +${Math.round(target.peak() - before)} MB, longest turn ≤ ${turn} s, ` +
            `longest wait ${Math.round(seen.worst)} ms (idle ${Math.round(idle.worst)}), median gap ${Math.round(seen.gap)} ms`,
        )
        expect(seen.gap).toBeLessThan(MEDIAN_GAP_MS)
      },
    )
  })
}
