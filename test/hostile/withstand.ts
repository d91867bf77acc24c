import { describe, expect, it } from 'vitest'
import type { Attack, Scale } from './attack.ts'
import { ask, startHostileUpstream, startTarget } from './target.ts'
import { Witness, type Testimony } from './witness.ts'

/** `npm run test:hostile` does all of each attack, and looks at how long others have to wait. */
const SCALE: Scale = process.env.HOSTILE === 'full' ? 'full' : 'quick'

/** How long one turn of the event loop may take, in seconds, and half of the tokens of an honest stream, in milliseconds. */
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

/** What an honest caller gets when nobody attacks: the mock always tells the same. */
let calm: Promise<Testimony> | undefined

/** The bound of the last bucket that anything is in: how long one turn of the event loop took at most, in seconds. */
function longestTurn(metrics: string): string {
  const buckets = [...metrics.matchAll(/^sluice_event_loop_delay_seconds_bucket\{le="([^"]+)"\} (\d+)$/gm)]
  const total = buckets.at(-1)?.[2]
  return buckets.find(([, , count]) => count === total)?.[1] ?? '?'
}

/** Each attack on a gateway of its own, beside an honest caller. */
export function describeAttacks(whose: string, attacks: readonly Attack[]): void {
  describe(`attacks by ${whose}`, () => {
    it.each(attacks.filter(({ only = SCALE }) => only === SCALE))(
      '$name: nothing ends, nobody else loses anything',
      async (attack) => {
        const target = await startFor(attack)
        const idle = await (calm ??= new Witness(target, TOKENS).leave())
        const before = target.rss()
        const witness = new Witness(target, TOKENS)
        await attack.run(target, SCALE)
        const seen = await witness.leave()
        expect(target.ended).toBeUndefined()
        expect(seen).toMatchObject({ complete: true, text: idle.text, failures: 0 })
        expect(target.peak() - before).toBeLessThan(attack.memory)
        expect(target.output()).not.toMatch(/"level":"(error|fatal)"/)
        const turn = longestTurn((await ask(target, '/metrics')).body)
        if (SCALE === 'quick') return
        console.log(
          `${attack.name}: RSS +${Math.round(target.peak() - before)} MB, longest turn ≤ ${turn} s, ` +
            `longest wait ${Math.round(seen.worst)} ms (idle ${Math.round(idle.worst)}), median gap ${Math.round(seen.gap)} ms`,
        )
        expect(Number(turn)).toBeLessThanOrEqual(LONGEST_TURN)
        expect(seen.gap).toBeLessThan(MEDIAN_GAP_MS)
      },
    )
  })
}
