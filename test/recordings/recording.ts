import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isRecord } from '../../src/json.ts'

/** The wire of a stream: Chat Completions or Messages. */
export type Wire = 'openai' | 'anthropic'

/** The bytes of one answer, as a provider sent them. */
export interface Recording {
  id: string
  wire: Wire
  body: Buffer
}

/** The recordings of a folder: `*.sse`, with their wires in `index.json` or evident from their content. */
export function loadRecordings(folder: string, only?: ReadonlySet<string>): Recording[] {
  const wires = readWires(join(folder, 'index.json'))
  return readdirSync(folder)
    .filter((name) => name.endsWith('.sse'))
    .map((name) => name.slice(0, -'.sse'.length))
    .filter((id) => !only || only.has(id))
    .toSorted()
    .map((id) => {
      const body = readFileSync(join(folder, `${id}.sse`))
      return { id, wire: wires.get(id) ?? guessWire(body), body }
    })
}

function readWires(file: string): Map<string, Wire> {
  const wires = new Map<string, Wire>()
  if (!existsSync(file)) return wires
  const index: unknown = JSON.parse(readFileSync(file, 'utf8'))
  for (const [id, entry] of isRecord(index) ? Object.entries(index) : []) {
    const kind = isRecord(entry) ? entry.kind : undefined
    if (kind === 'openai' || kind === 'anthropic') wires.set(id, kind)
  }
  return wires
}

function guessWire(body: Buffer): Wire {
  return body.includes('message_start') ? 'anthropic' : 'openai'
}
