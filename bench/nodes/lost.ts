import { setTimeout as sleep } from 'node:timers/promises'
import { spread } from '../statistics.ts'
import { createStreams, RATE, readStreams, startNode, type NodesMeasure } from './bed.ts'

const STREAMS = 20
const LEASE_MS = '5000'

/** How long readers at other nodes wait for the end of streams whose node was killed. */
export const lost: NodesMeasure = {
  name: 'lost',
  async run(bed) {
    const { rig, redis } = bed
    const follower = await startNode(bed, { LEASE_MS })
    const seconds: number[] = []
    for (let trial = 1; trial <= bed.choose(5, 1); trial++) {
      const owner = await startNode(bed, { LEASE_MS })
      const ids = await createStreams(bed, owner, STREAMS, { rate: RATE })
      await readStreams(bed, follower, ids)
      await rig.upstream('release')
      // At any moment between two renewals of the lease.
      await sleep(1000 + Math.random() * 2000)
      const start = performance.now()
      owner.process.kill()
      const hasEnded = await rig.load('untilEnded', 30_000)
      if (!hasEnded) throw new Error('The readers of a killed node have no end.')
      seconds.push((performance.now() - start) / 1000)
      await owner.process.exited
      await rig.load('reset')
      bed.progress(`lost, ${trial}: ${seconds.at(-1)?.toFixed(1)} s`)
    }
    await follower.process.stop()
    await redis.flush()
    return [
      {
        title: 'A node that was killed, s',
        method: `${STREAMS} streams, read at another node; LEASE_MS=${LEASE_MS}. From SIGKILL to the end of the last of them there.`,
        columns: ['', 'seconds'],
        rows: [['until every reader has its end', spread(seconds)]],
      },
    ]
  },
}
