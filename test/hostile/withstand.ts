import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Attack, Scale } from './attack.ts'
import { ask, Pulse, readHonestly, startHostileUpstream, startTarget } from './target.ts'

/** `npm run test:hostile` does all of each attack, and looks at how long others have to wait. */
const SCALE: Scale = process.env.HOSTILE === 'full' ? 'full' : 'quick'

/** How much longer than beside an idle gateway anybody may wait, in milliseconds. */
const BLOCKED_MS = 250
const MEDIAN_GAP_MS = 100

const TOKENS = 40

async function startFor({ env, upstream }: Attack) {
  if (!upstream) return startTarget(env)
  const port = await startHostileUpstream((socket) => upstream(socket, SCALE))
  const keys = { OPENAI_API_KEY: 'x', ANTHROPIC_API_KEY: 'x' }
  const urls = { OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1`, ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}` }
  return startTarget({ ...env, ...keys, ...urls })
}

/** What the honest reader gets when nobody attacks; the mock always tells the same. */
let calm: Promise<{ text: string }> | undefined

/** Each attack on a gateway of its own, beside an honest reader. */
export function describeAttacks(whose: string, attacks: readonly Attack[]): void {
  describe(`attacks by ${whose}`, () => {
    it.each(attacks.filter(({ only = SCALE }) => only === SCALE))(
      '$name: nothing ends, nobody else loses anything',
      async (attack) => {
        const target = await startFor(attack)
        const { text } = await (calm ??= readHonestly(target, TOKENS))
        const idle = new Pulse(target)
        if (SCALE === 'full') await sleep(1000)
        await idle.stop()
        const before = target.rss()
        const pulse = new Pulse(target)
        const honest = readHonestly(target, TOKENS)
        await attack.run(target, SCALE)
        const seen = await honest
        await pulse.stop()
        expect(target.ended).toBeUndefined()
        expect(pulse.failures).toBe(0)
        expect(seen).toMatchObject({ complete: true, text })
        expect(target.peak() - before).toBeLessThan(attack.memory)
        expect(target.output()).not.toMatch(/"level":"(error|fatal)"/)
        expect((await ask(target, '/healthz')).status).toBe(200)
        if (SCALE === 'quick') return
        expect(pulse.worst - idle.worst).toBeLessThan(BLOCKED_MS)
        expect(seen.gap).toBeLessThan(MEDIAN_GAP_MS)
      },
    )
  })
}
