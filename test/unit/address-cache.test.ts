import dns, { type LookupAddress } from 'node:dns'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { AddressCache } from '../../providers/transport/address-cache.ts'

const BOTH: LookupAddress[] = [
  { address: '::1', family: 6 },
  { address: '127.0.0.1', family: 4 },
]

type Answer = (error: NodeJS.ErrnoException | null, addresses?: LookupAddress[]) => void

/** Pending lookups, which the test answers. */
function watchLookups(): Answer[] {
  const asked: Answer[] = []
  const lookup = (_: string, __: unknown, answer: Answer) => void asked.push(answer)
  vi.spyOn(dns, 'lookup').mockImplementation(lookup as unknown as typeof dns.lookup)
  return asked
}

function ask(cache: AddressCache, all = true): Promise<unknown> {
  return new Promise((resolve) =>
    cache.lookup('api.test', { all }, (error, address, family) =>
      resolve(error ?? (all ? address : { address, family })),
    ),
  )
}

afterEach(() => vi.restoreAllMocks())

describe('the addresses of a host', () => {
  it('are looked up once for concurrent requests', async () => {
    const asked = watchLookups()
    const cache = new AddressCache()
    const answers = Promise.all([ask(cache), ask(cache), ask(cache, false)])
    expect(asked).toHaveLength(1)
    asked[0]!(null, BOTH)
    expect(await answers).toEqual([BOTH, BOTH, BOTH[0]])
  })

  it('are cached for ten seconds', async () => {
    const asked = watchLookups()
    const now = vi.spyOn(performance, 'now').mockReturnValue(0)
    const cache = new AddressCache()
    const first = ask(cache)
    asked[0]!(null, BOTH)
    await first
    now.mockReturnValue(9999)
    expect(await ask(cache)).toEqual(BOTH)
    expect(asked).toHaveLength(1)
    now.mockReturnValue(10_000)
    const second = ask(cache)
    asked[1]!(null, BOTH.slice(1))
    expect(await second).toEqual(BOTH.slice(1))
  })

  it('are looked up again after a failed connect', async () => {
    const asked = watchLookups()
    const cache = new AddressCache()
    const first = ask(cache)
    asked[0]!(null, BOTH)
    await first
    cache.forget()
    void ask(cache)
    expect(asked).toHaveLength(2)
  })

  it('are looked up again after a failed lookup', async () => {
    const asked = watchLookups()
    const cache = new AddressCache()
    const error = Object.assign(new Error('not found'), { code: 'ENOTFOUND' })
    const first = ask(cache)
    asked[0]!(error)
    expect(await first).toBe(error)
    void ask(cache)
    expect(asked).toHaveLength(2)
  })

  it('that are none are an error', async () => {
    const asked = watchLookups()
    const answer = ask(new AddressCache())
    asked[0]!(null, [])
    expect(await answer).toBeInstanceOf(Error)
  })
})
