import { startScript } from '../rig.ts'
import { connect } from '../remote.ts'
import type { LogCommands } from '../log-growth.ts'
import { LOAD_CORE } from '../processes.ts'
import { number, spread } from '../statistics.ts'
import type { Measure } from './measure.ts'

export const log: Measure = {
  name: 'log',
  async run({ choose, progress }) {
    const tokens = choose(500_000, 200_000)
    const child = startScript('log-growth.ts', { core: LOAD_CORE, ipc: true, flags: ['--expose-gc'] })
    const call = await connect<LogCommands>(child.child)
    const own: number[] = []
    const shared: number[] = []
    for (let round = 1; round <= choose(3, 1); round++) {
      own.push(await call('bytesPerToken', { tokens, vocabulary: tokens }))
      shared.push(await call('bytesPerToken', { tokens, vocabulary: 1000 }))
    }
    await child.stop()
    progress(`log: ${number(own[0]!)} bytes a token beyond its text`)
    return {
      title: 'The log',
      method: `Growth of the heap, after a collection, by a log of ${number(tokens, 0)} tokens of 6 characters, less these characters; tokens come out of \`JSON.parse\` as they do from a provider. When every token is a different string, which is the worst case, and with a vocabulary of 1,000, which V8 shares.`,
      columns: ['', 'Sluice'],
      rows: [
        ['bytes per token beyond its text, all different', spread(own)],
        ['… with a vocabulary of 1,000', spread(shared)],
      ],
      targets: [{ what: 'log bytes per token beyond its text', value: Math.max(...own), limit: 40, unit: 'bytes' }],
    }
  },
}
