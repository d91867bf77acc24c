import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { describe, expect, it, onTestFinished } from 'vitest'
import { MemoryBackplane } from '../../src/store/backplane/memory-backplane.ts'
import type { Channel } from '../../src/workers/channel.ts'
import type { BackplaneMethods, WorkerMethods } from '../../src/workers/methods.ts'
import { Peer } from '../../src/workers/peer.ts'
import { serveBackplane } from '../../src/workers/serve-backplane.ts'
import { WorkerBackplane } from '../../src/workers/worker-backplane.ts'
import { describeBackplane, LIFETIMES } from './backplane.ts'

/** One end of a channel that copies what it sends, as that between processes does. */
const channelOn = (port: MessagePort): Channel => ({
  send: (message) => port.postMessage(message),
  onMessage: (listener) => void port.on('message', listener),
  onClose: (listener) => void port.once('close', listener),
})

/** What a worker has of a backplane. */
function startWorker(backplane: MemoryBackplane) {
  const { port1: primary, port2: worker } = new MessageChannel()
  onTestFinished(() => primary.close())
  const methods = {}
  const toWorker = new Peer<Pick<WorkerMethods, 'deliver'>>(channelOn(primary), methods)
  const served = serveBackplane(
    async () => {},
    () => backplane,
    (...delivery) => toWorker.call('deliver', ...delivery),
  )
  Object.assign(methods, served.methods)
  const toPrimary = new Peer<BackplaneMethods>(channelOn(worker), {
    deliver: async (...delivery: Parameters<WorkerBackplane['deliver']>) => remote.deliver(...delivery),
  })
  const remote = new WorkerBackplane(toPrimary, LIFETIMES)
  return { backplane: remote, served, primary }
}

describeBackplane('the primary of a worker', async (lifetimes) => {
  let passed = 0
  const shared = new MemoryBackplane(lifetimes, { now: () => passed })
  return {
    backplane: startWorker(shared).backplane,
    other: startWorker(shared).backplane,
    async pass(milliseconds) {
      passed += milliseconds
    },
  }
})

describe('the backplane of a worker', () => {
  it('ends the leases of the worker when that is gone, and no others', async () => {
    const shared = new MemoryBackplane(LIFETIMES)
    const one = startWorker(shared)
    const two = startWorker(shared)
    await one.backplane.renewLease('one', 60_000)
    await two.backplane.renewLease('two', 60_000)
    await one.served.close()
    expect(await two.backplane.areHeld(['one', 'two'])).toEqual([false, true])
  })

  it('rejects with the code of the error', async () => {
    const { backplane } = startWorker(new MemoryBackplane(LIFETIMES, { maxBytes: 0 }))
    await expect(backplane.setName('n', 's')).rejects.toMatchObject({ code: 'store_full', status: 503 })
  })

  it('rejects with store_unavailable once the primary is gone', async () => {
    const { backplane, primary } = startWorker(new MemoryBackplane(LIFETIMES))
    expect(backplane.isUp).toBe(true)
    expect(await backplane.findName('n')).toBeUndefined()
    const pending = backplane.findName('n')
    primary.close()
    await expect(pending).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(backplane.isUp).toBe(false)
    await expect(backplane.findName('n')).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  it('delivers everything in order to a worker that takes long', async () => {
    const shared = new MemoryBackplane(LIFETIMES)
    const { backplane } = startWorker(shared)
    const heard: string[] = []
    const all = new Promise<void>((resolve) =>
      backplane.listen(
        'i',
        (messages) => {
          heard.push(...messages)
          if (heard.length === 100) resolve()
        },
        () => heard.push('gap'),
      ),
    )
    for (let i = 0; i < 100; i++) {
      await backplane.post('i', [String(i)])
      await shared.post('another', ['lost'])
    }
    await all
    expect(heard).toEqual(Array.from({ length: 100 }, (_, i) => String(i)))
  })
})
