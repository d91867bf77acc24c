import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { FaultyNetwork } from '../support/faulty-network.ts'
import { startGateway } from '../support/gateway.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { clientOf, forbidUnhandledRejections, HI, Wire } from './harness.ts'

forbidUnhandledRejections()

/** Remembers who listens, which an `EventTarget` does not tell. */
class Page {
  readonly listeners = new Map<string, Set<() => void>>()
  visibilityState = 'hidden'
  readonly addEventListener = (type: string, listener: () => void, { signal }: { signal: AbortSignal }) => {
    this.listeners.set(type, (this.listeners.get(type) ?? new Set()).add(listener))
    signal.addEventListener('abort', () => this.listeners.get(type)?.delete(listener))
  }

  dispatch(type: string): void {
    for (const listener of this.listeners.get(type) ?? []) listener()
  }

  get listening(): number {
    return [...this.listeners.values()].reduce((sum, { size }) => sum + size, 0)
  }
}

/** A stream in a page, with its first token, and no other way to reconnect than what the page hears. */
async function streamInPage() {
  const [window, document] = [new Page(), new Page()]
  vi.stubGlobal('addEventListener', window.addEventListener)
  vi.stubGlobal('document', document)
  onTestFinished(() => void vi.unstubAllGlobals())
  const provider = new ScriptedProvider()
  const gateway = await startGateway({}, { providers: [provider] })
  const network = await FaultyNetwork.start(gateway.url)
  const wire = new Wire()
  const leave = new AbortController()
  const stream = clientOf(network, { backoff: () => 2 ** 30, maxAttempts: 2 }).chat(
    { ...HI, model: 'scripted' },
    { signal: leave.signal, onActivity: wire.onActivity },
  )
  const run = await provider.nextRun()
  run.text('one ')
  await wire.untilCount('frame', 1)
  return { window, document, network, wire, stream, run, leave }
}

describe('in a page', () => {
  it('a client that comes online reconnects at once', async () => {
    const { window, document, network, wire, stream, run } = await streamInPage()
    network.cut()
    await wire.untilCount('reconnect', 1)
    run.text('two')
    run.done()
    window.dispatch('online')
    expect(await stream.text()).toBe('one two')
    expect(window.listening + document.listening).toBe(0)
  })

  it('a client that comes online does not trust the connection it had', async () => {
    const { window, network, wire, stream, run } = await streamInPage()
    network.hang()
    run.text('two')
    run.done()
    window.dispatch('online')
    expect(await stream.text()).toBe('one two')
    expect(wire.of('disconnect')).toMatchObject([{ reason: 'network-changed' }])
  })

  it('a client that comes online has all its attempts again', async () => {
    const { window, network, wire, stream, run } = await streamInPage()
    await network.offline()
    for (let count = 1; count <= 5; count += 1) {
      await wire.untilCount('reconnect', count)
      if (count === 5) await network.online()
      window.dispatch('online')
    }
    run.done()
    expect(await stream.text()).toBe('one ')
  })

  it('that is looked at again reconnects at once; one that is hidden does not', async () => {
    const { document, network, wire, stream, run, window } = await streamInPage()
    network.cut()
    await wire.untilCount('reconnect', 1)
    run.done()
    document.dispatch('visibilitychange')
    expect(wire.of('request')).toHaveLength(1)
    document.visibilityState = 'visible'
    document.dispatch('visibilitychange')
    expect(await stream.text()).toBe('one ')
    expect(window.listening + document.listening).toBe(0)
  })

  it('that is looked at again before it learns that its connection is lost does not wait either', async () => {
    const { document, network, stream, run } = await streamInPage()
    document.visibilityState = 'visible'
    document.dispatch('visibilitychange')
    network.cut()
    run.text('two')
    run.done()
    expect(await stream.text()).toBe('one two')
  })

  it('that is looked at while its connection is alive waits as any other when that is lost later', async () => {
    const { document, network, wire, stream, run } = await streamInPage()
    document.visibilityState = 'visible'
    document.dispatch('visibilitychange')
    run.text('two ')
    await wire.untilCount('frame', 2)
    network.cut()
    await wire.untilCount('reconnect', 1)
    run.text('three')
    run.done()
    const other = clientOf(network).attach(await stream.id)
    expect(await other.text()).toBe('one two three')
    expect(wire.of('request')).toHaveLength(1)
    document.dispatch('visibilitychange')
    expect(await stream.text()).toBe('one two three')
  })

  it('nobody listens any more after an abort', async () => {
    const { window, document, stream, leave } = await streamInPage()
    expect([window.listening, document.listening]).toEqual([1, 1])
    leave.abort()
    await expect(stream.text()).rejects.toMatchObject({ name: 'AbortError' })
    expect([window.listening, document.listening]).toEqual([0, 0])
  })
})
