import type { Fields } from '../../json.ts'
import type { ResponseEvent } from './items.ts'
import type { OutputState } from './output.ts'

/** An event about an item of the upstream's own tools, in its words, at the item's place in this output. */
export function addHosted(
  { type, output_index: key, ...fields }: Fields,
  item: Fields | undefined,
  output: OutputState,
): { event: ResponseEvent; output: OutputState } | undefined {
  if (typeof type !== 'string' || typeof key !== 'number') return undefined
  const known = output.hosted.get(key)
  const { index } = known ?? { index: output.count }
  const hosted = known ? output.hosted : output.hosted.with(key, { index, item: item ?? {} })
  const ended = type === 'response.output_item.done' && item ? output.ended.with(index, item) : output.ended
  const count = known ? output.count : index + 1
  return { event: { ...fields, type, output_index: index }, output: { ...output, hosted, ended, count } }
}
