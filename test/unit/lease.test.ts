import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { MemoryBackplane } from '../../src/store/backplane/memory-backplane.ts'
import { Lease } from '../../src/store/nodes/lease.ts'

const LEASE_MS = 5000
const LIFETIMES = { retentionMs: 60_000, tombstoneMs: 60_000, runningMs: 60_000 }

/** A lease whose clocks and timers the test moves. */
async function setUp() {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  let monotonic = 0
  let wall = 1_000_000
  let away = false
  const backplane = new MemoryBackplane(LIFETIMES, { now: () => monotonic })
  const renew = vi.spyOn(backplane, 'renewLease')
  const original = MemoryBackplane.prototype.renewLease.bind(backplane)
  renew.mockImplementation((lease, ms) => (away ? Promise.reject(new Error('away')) : original(lease, ms)))
  const events: string[] = []
  const lease = new Lease(backplane, {
    leaseMs: LEASE_MS,
    onLost: () => events.push('lost'),
    onForgotten: () => events.push('forgotten'),
    clock: { monotonic: () => monotonic, wall: () => wall },
  })
  await lease.start()
  return {
    lease,
    backplane,
    events,
    setAway: (isAway: boolean) => void (away = isAway),
    /** The clocks go on, and nothing runs meanwhile. */
    pause: (clocks: { monotonic?: number; wall?: number }) => {
      monotonic += clocks.monotonic ?? 0
      wall += clocks.wall ?? 0
    },
    /** Time passes, and timers fire in it. */
    run: async (milliseconds: number) => {
      for (let passed = 0; passed < milliseconds; passed += 100) {
        monotonic += 100
        wall += 100
        await vi.advanceTimersByTimeAsync(100)
      }
    },
  }
}

describe('the lease of a node', () => {
  it('is held for as long as the process runs', async () => {
    const { lease, backplane, events, run } = await setUp()
    const { name } = lease
    await run(10 * LEASE_MS)
    expect([lease.holds(), lease.name, events]).toEqual([true, name, []])
    expect(await backplane.areHeld([name, lease.inbox])).toEqual([true, true])
  })

  it.each([
    ['by the monotonic clock', { monotonic: LEASE_MS + 100 }],
    ['by the wall clock, as in a suspended machine', { wall: LEASE_MS + 100 }],
    ['by both', { monotonic: LEASE_MS + 100, wall: LEASE_MS + 100 }],
  ])('is lost by a pause, measured %s', async (_, clocks) => {
    const { lease, events, run, pause } = await setUp()
    await run(2 * LEASE_MS)
    const { name } = lease
    pause(clocks)
    // Asked before any timer fires, as by a reader whose socket is the first to wake.
    expect([lease.holds(), events]).toEqual([false, ['lost']])
    expect(lease.name).not.toBe(name)
    await run(LEASE_MS)
    expect([lease.holds(), events]).toEqual([true, ['lost']])
  })

  it('is lost by a pause that a timer is the first to find', async () => {
    const { events, run, pause } = await setUp()
    await run(LEASE_MS)
    pause({ monotonic: LEASE_MS + 100, wall: LEASE_MS + 100 })
    await run(LEASE_MS)
    expect(events).toEqual(['lost'])
  })

  it('is not lost by a short pause', async () => {
    const { lease, events, run, pause } = await setUp()
    for (let i = 0; i < 5; i++) {
      await run(LEASE_MS)
      pause({ monotonic: LEASE_MS / 2, wall: LEASE_MS / 2 })
    }
    await run(LEASE_MS)
    expect([lease.holds(), events]).toEqual([true, []])
  })

  it('is not lost by an outage of the backplane, and is by a pause in it', async () => {
    const { lease, events, run, pause, setAway } = await setUp()
    await run(LEASE_MS)
    setAway(true)
    await run(10 * LEASE_MS)
    expect([lease.holds(), lease.isSteady, events]).toEqual([true, false, []])
    pause({ monotonic: LEASE_MS + 600, wall: LEASE_MS + 600 })
    expect([lease.holds(), events]).toEqual([false, ['lost']])
  })

  it('proves nothing about other nodes until the backplane has worked for a whole lease', async () => {
    const { lease, events, run, setAway } = await setUp()
    await run(LEASE_MS)
    expect(lease.isSteady).toBe(true)
    setAway(true)
    await run(3 * LEASE_MS)
    setAway(false)
    await run(LEASE_MS / 2)
    expect(lease.isSteady).toBe(false)
    await run(LEASE_MS)
    expect([lease.isSteady, events]).toEqual([true, ['forgotten']])
  })
})
