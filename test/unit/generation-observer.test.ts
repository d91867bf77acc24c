import { describe, expect, it } from 'vitest'
import type { GenerationObserver } from '../../src/stream/generation.ts'
import { newGeneration, produced, runGeneration, STOP, text, untilAborted } from './run-generation.ts'

describe('the observer', () => {
  function recorder() {
    const calls: unknown[] = []
    const seconds = expect.any(Number)
    const observer: GenerationObserver = {
      firstToken: (_, sinceStart) => calls.push(['firstToken', sinceStart]),
      tokens: (_, count, gap) => calls.push(['tokens', count, gap]),
      finished: (generation, done, cause) => calls.push(['finished', done === generation.log.done, cause]),
    }
    return { calls, observer, seconds }
  }

  it('hears of the first token once, of those that follow, and of the end', async () => {
    const { calls, observer, seconds } = recorder()
    await runGeneration(() => produced([text('a'), text('b')], text('c'), [], [text('d'), text('e'), STOP]), {
      observer,
    })
    expect(calls).toEqual([
      ['firstToken', seconds],
      ['tokens', 1, seconds],
      ['tokens', 2, seconds],
      ['finished', true, undefined],
    ])
  })

  it('hears of no token when there was none', async () => {
    const { calls, observer } = recorder()
    await runGeneration(() => produced(STOP), { observer })
    expect(calls).toEqual([['finished', true, undefined]])
  })

  it('hears of the tokens that came with nonsense, which are in the log', async () => {
    const { calls, observer, seconds } = recorder()
    await runGeneration(() => produced([text('a'), null as never]), { observer })
    expect(calls).toEqual([
      ['firstToken', seconds],
      ['finished', true, expect.objectContaining({ code: 'provider_invalid_event' })],
    ])
  })

  it('is given what was thrown, as the only one', async () => {
    const { calls, observer, seconds } = recorder()
    const cause = new Error('secret')
    await runGeneration(
      async function* () {
        yield text('a')
        throw cause
      },
      { observer },
    )
    expect(calls).toEqual([
      ['firstToken', seconds],
      ['finished', true, cause],
    ])
  })

  it('hears of a cancelled stream once, also when the provider then throws', async () => {
    const { calls, observer } = recorder()
    const generation = newGeneration(
      async function* (signal) {
        yield await untilAborted(signal)
      },
      { observer },
    )
    const running = generation.run()
    generation.cancel()
    await running
    expect(calls).toEqual([['finished', true, undefined]])
  })
})
