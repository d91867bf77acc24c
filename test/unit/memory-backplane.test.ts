import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { MemoryBackplane, type MemoryBackplaneOptions } from '../../src/store/backplane/memory-backplane.ts'

const LIFETIMES = { retentionMs: 60_000, tombstoneMs: 60_000, runningMs: 60_000 }

const backplaneOf = (options: MemoryBackplaneOptions = {}) => new MemoryBackplane(LIFETIMES, options)

async function run(backplane: MemoryBackplane, id: string, bytes: number, ends: boolean) {
  await backplane.createStream({ id, info: '{}', kept: undefined, lease: 'l' })
  const pieces = [{ last: 1, json: 'x'.repeat(bytes / 2) }]
  return backplane.append({ id, after: 0, pieces, ends }, false)
}

describe('the memory of a backplane', () => {
  it('is bounded: the oldest finished streams expire first, then nothing more is taken', async () => {
    const backplane = backplaneOf({ maxBytes: 100_000 })
    await run(backplane, 'first', 30_000, true)
    await run(backplane, 'running', 30_000, false)
    await run(backplane, 'second', 30_000, true)
    await run(backplane, 'third', 30_000, true)
    expect(await backplane.findStream('first')).toMatchObject({ expired: true })
    expect(await backplane.findStream('second')).toMatchObject({ expired: false })
    await run(backplane, 'fourth', 30_000, false)
    expect(await backplane.findStream('second')).toMatchObject({ expired: true })
    await run(backplane, 'fifth', 30_000, false)
    expect(await backplane.findStream('third')).toMatchObject({ expired: true })

    await expect(run(backplane, 'sixth', 30_000, false)).rejects.toMatchObject({ code: 'store_full' })
    const more = { id: 'running', after: 1, pieces: [{ last: 2, json: 'x'.repeat(15_000) }], ends: false }
    await expect(backplane.append(more, false)).rejects.toMatchObject({ code: 'store_full' })
    expect(await backplane.append({ ...more, ends: true }, false)).toMatchObject({ status: 'stored' })
    expect(await backplane.findStream('running')).toMatchObject({ ended: true })
  })

  it('is free again when records expire', async () => {
    let passed = 0
    const backplane = backplaneOf({ maxBytes: 10_000, now: () => performance.now() + passed })
    const fill = async () => {
      for (let i = 0; ; i++) await backplane.claimName(`${passed} ${i}`, { id: 's', fingerprint: 'f', resuming: false })
    }
    await expect(fill()).rejects.toMatchObject({ code: 'store_full' })
    passed += 120_000
    // The timer is not due: what has expired is dropped when it is asked for.
    for (let i = 0; i < 100; i++) await backplane.findName(`0 ${i}`)
    expect(await backplane.claimName('n', { id: 's', fingerprint: 'f', resuming: false })).toEqual({
      status: 'claimed',
    })
  })
})

describe('an inbox', () => {
  it('keeps messages until somebody listens, and says when it had to drop some', async () => {
    const backplane = backplaneOf()
    const heard: string[] = []
    const listen = (inbox: string) =>
      backplane.listen(
        inbox,
        (messages) => void heard.push(`${messages.length} from ${messages[0]}`),
        () => void heard.push('gap'),
      )
    await backplane.post('short', ['0', '1'])
    for (let i = 0; i <= 10_000; i++) await backplane.post('long', [String(i)])
    await nextTurn()
    listen('short')
    await nextTurn()
    listen('long')
    await nextTurn()
    expect(heard).toEqual(['2 from 0', 'gap', '10000 from 1'])
  })
})
